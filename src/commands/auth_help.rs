//! `medplum help auth`: how to sign in, with a recipe for each kind of server.

use clap::Args;

use crate::context::Context;

/// How to sign in
#[derive(Args, Debug)]
#[command(hide = true, long_about = TEXT, help_template = "{about}")]
pub struct AuthHelpArgs {}

pub fn run(context: &Context, _args: AuthHelpArgs) -> anyhow::Result<()> {
    context.output.line(TEXT.trim_end())
}

const TEXT: &str = "\
How to sign in

Every server is a profile. `medplum profile set NAME …` stores how to reach it and how to sign
in; `-p NAME` uses it. Token and authorize URLs are found by discovery (SMART, then the
CapabilityStatement) when they are not set. Commands get and renew tokens by themselves;
`medplum login` is for people, and to see at once whether the settings are right.

  --auth-type          who it is for
  authorization-code   a person with a browser (what `login` does without credentials)
  device-code          a person with another device, where no browser can be (RFC 8628)
  client-credentials   a program with a client id and secret
  jwt-assertion        a program with a private key (SMART backend services)
  jwt-bearer           a program that speaks for a user (RFC 7523 grant)
  token-exchange       a program that holds another server's token (RFC 8693)
  basic                user and password, or id and secret, on every request

A secret is best kept in a file: --client-secret-file FILE, or - to read it from stdin. Or let a
password manager print it: --client-secret-command 'pass show epic'. `--store keyring` (of login
and profile set) keeps secrets and tokens in the keyring of the operating system. With --dpop,
tokens are bound to a key and of no use to whoever finds them (RFC 9449; the server must know it).

A token that a program prints: --access-token-command 'gcloud auth print-access-token', or with
'az account get-access-token --resource URL'; one in a file: --access-token-file FILE. A workload
that its platform vouches for (Kubernetes, GitHub Actions): --client-assertion-file FILE or
--client-assertion-command. A key in a variable: MEDPLUM_PRIVATE_KEY.

How the client proves itself at the token endpoint is the server's choice where it says so, else
the secret goes into the Basic header: --client-auth header, raw, post, client_secret_jwt,
private_key_jwt, tls_client_auth (with --client-cert and --client-key) or none.

Epic (backend; Group exports only)
  Register the app at fhir.epic.com with the public key (medplum keys jwks), wait until it is
  known there (an hour to two days). Production has another client id than the sandbox.
    medplum profile set epic --auth-type jwt-assertion \\
      --base-url https://fhir.epic.com/interconnect-fhir-oauth \\
      --fhir-url-path api/FHIR/R4 --token-url oauth2/token \\
      --client-id ID --private-key-path key.pem --key-id KID
  The key id is that of the registered JWK set. A site behind a proxy may want the audience
  it has on its list: --audience URL.

Oracle Health (Cerner)
  A system account; scopes name each type, wildcards are not known.
    medplum profile set oracle --auth-type client-credentials \\
      --base-url https://fhir-ehr-code.cerner.com/r4/TENANT --fhir-url-path / \\
      --client-id ID --client-secret-file FILE \\
      --scope 'system/Patient.read system/Observation.read'

eClinicalWorks
  The JWK set URL is registered with the app; bulk wants system/Group.read beside the types.
    medplum profile set ecw --auth-type jwt-assertion \\
      --base-url https://fhir4.eclinicalworks.com/fhir/r4/PRACTICE --fhir-url-path / \\
      --client-id ID --private-key-path key.pem --key-id KID \\
      --scope 'system/Group.read system/Patient.read'

Health Gorilla
  An assertion signed with the secret, in the name of a user; the issuer is the URI
  registered for the client.
    medplum profile set gorilla --auth-type jwt-bearer \\
      --base-url https://sandbox.healthgorilla.com --token-url oauth/token \\
      --client-id ID --client-secret-file FILE --scope 'user/*.*' \\
      --audience https://sandbox.healthgorilla.com/oauth/token \\
      --subject USER --issuer https://your-organisation.example

BCDA (Medicare claims)
  The secret goes in the Basic header, which is the default; no scope.
    medplum profile set bcda --auth-type client-credentials \\
      --base-url https://sandbox.bcda.cms.gov --fhir-url-path api/v2 \\
      --token-url auth/token --client-id ID --client-secret-file FILE

Medplum
  As a person, nothing else is needed:
    medplum login
  As a program:
    medplum profile set bot --auth-type client-credentials \\
      --client-id ID --client-secret-file FILE
  A server of your own: --base-url https://api.example.com, and --client-id for a login.

Any other server, as a person
    medplum login -p NAME --base-url https://fhir.example.com \\
      --fhir-url-path fhir --client-id ID \\
      --scope 'openid fhirUser launch/patient patient/*.rs offline_access'
  Register the callback http://localhost:9615, or name yours with --callback-url. Over SSH:
  --no-browser, open the address anywhere, and paste the one that the browser ends at.

See what was granted with `medplum whoami -p NAME`; end it with `medplum logout -p NAME`.
";
