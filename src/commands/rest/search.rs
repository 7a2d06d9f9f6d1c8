//! `medplum search TYPE NAME=VALUE…`

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::paged::{self, Came, Wanted};
use super::{AnswerArgs, searched};
use crate::context::Context;
use crate::exit::{Failure, PARTIAL};
use crate::fhir::page::Pages;
use crate::fhir::raw::Bundle;
use crate::fhir::{Client, FhirError, TokenRule};
use crate::http::Request;
use crate::output::Format;
use crate::words;

/// Pages that are asked for with a size of their own; a server takes it as a wish.
const LARGEST_PAGE: u64 = 1_000;

/// Search for resources, with values encoded for you
///
/// The first page is printed, or all of them with --all.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "Examples:\n\
        \x20 medplum search -p example Patient name=smith birthdate=ge1980-01-01\n\
        \x20 medplum search -p example Observation 'code=http://loinc.org|8867-4' \\\n\
        \x20     --all -o ndjson > heart-rates.ndjson\n\
        \x20 medplum search -p example Patient --count\n\
        \x20 medplum search -p example Patient --fields id,name.family,birthDate")]
pub struct SearchArgs {
    /// Type of the resources, such as Patient
    #[arg(value_name = "TYPE")]
    resource_type: String,
    /// What they have to match, such as name=smith; a name may come more than once
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// All pages, not the first alone
    #[arg(long)]
    all: bool,
    /// No more than this many, from as many pages as that takes
    #[arg(long, value_name = "N", conflicts_with = "all", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print their number alone
    #[arg(long, conflicts_with_all = ["all", "limit", "ids", "fields", "include", "revinclude"])]
    count: bool,
    /// Print TYPE/ID of each, on a line of its own
    #[arg(long, conflicts_with = "fields")]
    ids: bool,
    /// Print a table with these columns, such as id,name.family,birthDate
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    fields: Option<Vec<String>>,
    /// Send the values in a body: they stand in no log on the way (POST TYPE/_search)
    #[arg(long)]
    post: bool,
    /// Resources that the found ones name too, such as Observation:subject
    #[arg(long, value_name = "TYPE:NAME")]
    include: Vec<String>,
    /// Resources that name the found ones too, such as Observation:subject
    #[arg(long, value_name = "TYPE:NAME")]
    revinclude: Vec<String>,
    /// The order, such as -date,name
    #[arg(long, value_name = "NAMES", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Write to a file instead of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub async fn run(context: &Context, args: SearchArgs) -> anyhow::Result<()> {
    let mut query = args.query()?;
    let client = context.fhir()?;
    if args.count {
        query.push(("_summary".to_owned(), "count".to_owned()));
        return count(context, &client, &args, &query).await;
    }
    let first = args.request(&client, &query)?;
    let asked = args.url(&client, &query)?;
    if args.is_one_answer(context) {
        let answer = client.read(first, TokenRule::OwnOrigins).await?;
        if answer.status.is_success() {
            searched::say(&context.output, &asked, &answer.body);
        }
        let shown = AnswerArgs {
            include: false,
            output: args.output,
        };
        return super::show(context, &shown, answer);
    }
    let wanted = Wanted {
        all: args.all || args.limit.is_some(),
        limit: args.limit,
        ids: args.ids,
        fields: args.fields.as_deref(),
        file: args.output.as_deref(),
        ..Wanted::default()
    };
    let came = paged::print(context, &client, first, &asked, &wanted).await?;
    say_of_the_rest(context, &args, &came)
}

impl SearchArgs {
    /// Whether the first page is printed as the server gave it, its links and all.
    fn is_one_answer(&self, context: &Context) -> bool {
        let as_it_is = matches!(context.output.format, None | Some(Format::Json));
        as_it_is && !self.all && self.limit.is_none() && !self.ids && self.fields.is_none()
    }

    /// Names and values, in the order in which they were given.
    fn query(&self) -> Result<Vec<(String, String)>, Failure> {
        if !searched::is_type(&self.resource_type) {
            let words = format!("`{}` is no type of resources", self.resource_type);
            return Err(Failure::usage(words).hint(self.meant()));
        }
        let mut query = Vec::new();
        for parameter in &self.parameters {
            let (name, value) = parameter
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| {
                    let words = format!("`{parameter}` is no NAME=VALUE");
                    Failure::usage(words)
                        .hint("a name and its value are one word, such as name=smith")
                })?;
            query.push((name.to_owned(), value.to_owned()));
        }
        let more = [
            ("_include", &self.include[..]),
            ("_revinclude", &self.revinclude[..]),
            ("_sort", self.sort.as_slice()),
        ];
        for (name, values) in more {
            query.extend(values.iter().map(|value| (name.to_owned(), value.clone())));
        }
        if let Some(limit) = self.limit.filter(|limit| *limit <= LARGEST_PAGE)
            && !query.iter().any(|(name, _)| name == "_count")
        {
            query.push(("_count".to_owned(), limit.to_string()));
        }
        Ok(query)
    }

    /// What somebody may have meant by a word that is no type.
    fn meant(&self) -> String {
        let word = &self.resource_type;
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        let raised: String = first.into_iter().chain(letters).collect();
        if searched::is_type(&raised) {
            return format!("types begin with a capital letter: medplum search {raised}");
        }
        if word.contains(['/', '?']) {
            return format!("medplum get '{word}' reads it");
        }
        "such as: medplum search Patient name=smith".to_owned()
    }

    fn request(&self, client: &Client, query: &[(String, String)]) -> anyhow::Result<Request> {
        if self.post {
            let url = client.url(&format!("{}/_search", self.resource_type))?;
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            let mut request = Request::new(Method::POST, url).header(CONTENT_TYPE, form);
            request.body = Some(encoded(query).into());
            return Ok(request);
        }
        Ok(Request::new(Method::GET, self.url(client, query)?))
    }

    /// The search as a GET names it.
    fn url(&self, client: &Client, query: &[(String, String)]) -> Result<Url, FhirError> {
        let text = encoded(query);
        let mark = if text.is_empty() { "" } else { "?" };
        client.url(&format!("{}{mark}{text}", self.resource_type))
    }
}

/// A query with every value encoded. A space is `%20`, which is one wherever it is read; a `+` is not.
fn encoded(query: &[(String, String)]) -> String {
    let one = |text: &str| {
        byte_serialize(text.as_bytes())
            .collect::<String>()
            .replace('+', "%20")
    };
    let pairs = query.iter().map(|(name, value)| {
        // The sign of a modifier (`name:exact`) is one that stands in a query as it is (RFC 3986 §3.4).
        format!("{}={}", one(name).replace("%3A", ":"), one(value))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The number that the server gives; where it gives none, the pages are counted.
async fn count(
    context: &Context,
    client: &Client,
    args: &SearchArgs,
    query: &[(String, String)],
) -> anyhow::Result<()> {
    let answer = client
        .read(args.request(client, query)?, TokenRule::OwnOrigins)
        .await?
        .checked()?;
    let text = String::from_utf8_lossy(&answer.body);
    if let Ok(bundle) = Bundle::parse(&text) {
        // A number alone says nothing of what it is of.
        searched::say_ignored(&context.output, &args.url(client, query)?, &bundle);
    }
    let number = if let Some(total) = searched::total(&text) {
        total
    } else {
        let note = "The server gives no number: all pages are read and counted";
        context.output.note(note);
        let all = &query[..query.len() - 1];
        counted(client, args.request(client, all)?).await?
    };
    context.output.line(&number.to_string())
}

async fn counted(client: &Client, first: Request) -> anyhow::Result<u64> {
    let mut pages = Pages::beginning(client, first);
    let mut number = 0;
    while let Some(page) = pages.next().await? {
        number += Bundle::parse(&page.text)
            .map_err(words::json_error)?
            .resources()
            .count() as u64;
    }
    Ok(number)
}

/// That there is more, or that less came than the server said there is.
fn say_of_the_rest(context: &Context, args: &SearchArgs, came: &Came) -> anyhow::Result<()> {
    let of = came
        .total
        .map_or_else(String::new, |total| format!(" of {total}"));
    if !args.all {
        if came.more && args.limit.is_none() {
            context.output.note(&format!(
                "This is the first page alone, with {}{of} resources; --all fetches the others",
                came.matches
            ));
        }
        return Ok(());
    }
    match came.total {
        Some(total) if total > came.matches => {
            let words = format!(
                "the server said that {total} resources match, and {} came",
                came.matches
            );
            Err(Failure::new(PARTIAL, words)
                .hint("something may have changed meanwhile: run the same command again")
                .into())
        }
        _ => Ok(()),
    }
}
