//! The client before the token endpoint: its key, what proves it, and the token requests it makes.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::assertion::{self, Clock, SigningKey};
use super::client_auth::{self, ClientProof};
use super::dpop::{BoundKey, Nonces, Prover};
use super::endpoints::Endpoints;
use super::grant::{Grant, Prepared};
use super::keys::{KeyError, Passphrase, Prompt};
use super::request::TokenRequest;
use super::{AuthError, Token, credential, discovery, exchange, secret_command};
use crate::http::Http;
use crate::profile::{AuthType, ClientAuth, Profile, urls};
use crate::secret;

/// A client that asks for tokens by one grant, or renews a login.
#[derive(Debug)]
pub(super) struct Applicant {
    http: Http,
    profile: Profile,
    passphrase: Passphrase,
    /// The grant with its key, which is read when the first token is asked for.
    prepared: OnceCell<Prepared>,
    /// What proves the client, chosen when the first request is sent.
    proof: Mutex<Option<Arc<ClientProof>>>,
    /// What servers want in DPoP proofs.
    pub(super) nonces: Nonces,
}

impl Applicant {
    pub(super) fn new(profile: &Profile, http: &Http) -> Self {
        Self {
            http: http.clone(),
            profile: profile.clone(),
            passphrase: Passphrase {
                file: profile.key_passphrase_file.clone(),
                value: profile.key_passphrase.clone(),
                prompt: None,
            },
            prepared: OnceCell::new(),
            proof: Mutex::new(None),
            nonces: Nonces::default(),
        }
    }

    /// Notes who can be asked for the passphrase of a key.
    pub(super) fn set_prompt(&mut self, prompt: Arc<dyn Prompt>) {
        self.passphrase.prompt = Some(prompt);
    }

    /// What signs the assertions of a grant; `None` when nothing does.
    pub(super) async fn signing_key(
        &self,
        grant: &'static dyn Grant,
    ) -> Result<Option<SigningKey>, AuthError> {
        let (_, prepared) = self.ready(grant).await?;
        Ok(prepared.signing_key())
    }

    /// The token request that would go out; nothing is sent.
    pub(super) async fn rehearse(
        &self,
        grant: &'static dyn Grant,
        endpoints: &Endpoints,
    ) -> Result<TokenRequest, AuthError> {
        let (profile, prepared) = self.ready(grant).await?;
        let profile = Box::pin(credential::filled(profile)).await?;
        let proof = self.proof_with(grant, &profile, endpoints).await?;
        let at = endpoints.token(proof.way());
        let signs = prepared.signing_key().is_some() || proof.signs();
        let profile = self.with_vouched(profile, signs, endpoints, at.url()).await;
        let request = prepared.request(&profile, at.url(), &proof, Clock::default())?;
        Ok(request.with_params(&self.profile.asks.token_params))
    }

    /// Reads what the grant needs: nothing is to be sent when that cannot be used.
    pub(super) async fn prepare(&self, grant: &'static dyn Grant) -> Result<(), AuthError> {
        self.ready(grant).await.map(drop)
    }

    /// Asks the token endpoint for a token with this scope.
    pub(super) async fn ask(
        &self,
        grant: &'static dyn Grant,
        endpoints: &Endpoints,
        scope: Option<&str>,
    ) -> Result<Token, AuthError> {
        let (profile, prepared) = self.ready(grant).await?;
        // Here, and not when the key is read: a program runs once for a token request.
        let mut profile = Box::pin(credential::filled(profile)).await?;
        if profile.scope.as_deref() != scope {
            profile.to_mut().scope = scope.map(str::to_owned);
        }
        let proof = self.proof_with(grant, &profile, endpoints).await?;
        if let Some(alias) = endpoints.passed_over(proof.way()) {
            let alias = secret::url_for_people(alias);
            self.http.trace.notice(&format!(
                "The server names {alias} for clients with a certificate. It is on another server than the token \
                 endpoint, so it gets nothing; if you know that it is that server's own, \
                 --token-url {alias} uses it"
            ));
        }
        let at = endpoints.token(proof.way());
        let signs = prepared.signing_key().is_some() || proof.signs();
        let profile = self.with_vouched(profile, signs, endpoints, at.url()).await;
        let prover = self.new_prover()?;
        exchange::exchange(&self.http, &at, &self.profile.asks.token_params, |clock| {
            let request = prepared.request(&profile, at.url(), &proof, clock)?;
            Ok(request.with_dpop(prover.as_ref()))
        })
        .await
    }

    /// The profile, with the token endpoint as if the user had named it when the issuer at the audience says that it is its own.
    async fn with_vouched<'a>(
        &self,
        mut profile: Cow<'a, Profile>,
        signs: bool,
        endpoints: &Endpoints,
        at: &Url,
    ) -> Cow<'a, Profile> {
        let is_refused = || {
            matches!(
                assertion::audience(&profile, at),
                Err(AuthError::ForAnother { .. })
            )
        };
        if !signs || !is_refused() {
            return profile;
        }
        let audience = profile.audience.as_deref().map(Url::parse);
        if profile.token_url.is_none()
            && let (Some(Ok(audience)), Some(issuer)) = (audience, endpoints.issuer())
            && Url::parse(issuer).is_ok_and(|issuer| urls::same_origin(&issuer, &audience))
            && discovery::is_of(&self.http, &profile, issuer, at).await
        {
            profile.to_mut().token_url = Some(at.clone());
        }
        profile
    }

    /// A new key for a new token, when tokens are to be bound.
    fn new_prover(&self) -> Result<Option<Prover>, KeyError> {
        let key = self.profile.dpop.then(BoundKey::generate).transpose()?;
        Ok(key.map(|key| Prover::new(key, &self.nonces)))
    }

    /// The profile with its secret, when the grant needs one, and the grant with its key read.
    async fn ready(
        &self,
        grant: &'static dyn Grant,
    ) -> Result<(Cow<'_, Profile>, &Prepared), AuthError> {
        let profile = if grant.uses_secret(&self.profile) {
            secret_command::with_secret(&self.profile).await?
        } else {
            Cow::Borrowed(&self.profile)
        };
        let prepared = self
            .prepared
            .get_or_try_init(|| self.read_key(grant, &profile))
            .await?;
        Ok((profile, prepared))
    }

    async fn read_key(
        &self,
        grant: &'static dyn Grant,
        profile: &Profile,
    ) -> Result<Prepared, AuthError> {
        if let Some(notice) = grant.notice(&self.profile) {
            self.http.trace.notice(&notice);
        }
        let (profile, passphrase) = (profile.clone(), self.passphrase.clone());
        // Reading a key can mean waiting for a person.
        tokio::task::spawn_blocking(move || Prepared::new(grant, &profile, &passphrase))
            .await
            .unwrap_or_else(|error| Err(KeyError::Signing(error.to_string()).into()))
    }

    /// What proves the client with a grant.
    async fn proof_with(
        &self,
        grant: &dyn Grant,
        profile: &Profile,
        endpoints: &Endpoints,
    ) -> Result<Arc<ClientProof>, AuthError> {
        let way = grant.client_auth(profile, endpoints.client_auth());
        self.proof_by(way, profile, grant.auth_type()).await
    }

    /// What proves the client that renews a login.
    pub(super) async fn proof_of_login(
        &self,
        profile: &Profile,
        endpoints: &Endpoints,
    ) -> Result<Arc<ClientProof>, AuthError> {
        let way = client_auth::choose(profile, endpoints.client_auth());
        let auth_type = profile.auth_type.unwrap_or(AuthType::AuthorizationCode);
        self.proof_by(way, profile, auth_type).await
    }

    async fn proof_by(
        &self,
        way: ClientAuth,
        profile: &Profile,
        auth_type: AuthType,
    ) -> Result<Arc<ClientProof>, AuthError> {
        let mut chosen = self.proof.lock().await;
        if let Some(proof) = chosen.as_ref().filter(|proof| proof.way() == way) {
            return Ok(Arc::clone(proof));
        }
        let proof = Arc::new(proof_of_client(way, profile, auth_type, &self.passphrase).await?);
        *chosen = Some(Arc::clone(&proof));
        Ok(proof)
    }
}

/// The proof of a client with its key read, which can mean waiting for a person.
pub(super) async fn proof_of_client(
    way: ClientAuth,
    profile: &Profile,
    auth_type: AuthType,
    passphrase: &Passphrase,
) -> Result<ClientProof, AuthError> {
    let (profile, passphrase) = (profile.clone(), passphrase.clone());
    tokio::task::spawn_blocking(move || ClientProof::prepare(way, &profile, auth_type, &passphrase))
        .await
        .unwrap_or_else(|error| Err(KeyError::Signing(error.to_string()).into()))
}
