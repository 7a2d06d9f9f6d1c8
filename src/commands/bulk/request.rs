//! What to export: the arguments that make the kick-off.

use clap::{Args, ValueEnum};

use crate::bulk::export::instant;
use crate::bulk::export::kickoff::{Kickoff, ListStyle};

/// The parameters of the kick-off.
#[derive(Args, Debug)]
#[command(next_help_heading = "What to export")]
pub(super) struct RequestArgs {
    /// Patient, Group/ID, or nothing for the whole system
    #[arg(
        short,
        long,
        value_name = "LEVEL",
        default_value = "",
        hide_default_value = true
    )]
    export_level: String,
    /// Resource types, such as Patient,Observation
    #[arg(short, long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only what changed since this instant, date, or time ago such as 2d; auto for a series
    ///
    /// With auto each run exports what changed since the run before, into a folder of its own below the target
    /// directory, named by the time the export is of. The first run exports everything.
    #[arg(short, long, value_name = "TIME|auto", value_parser = since)]
    since: Option<Since>,
    /// Only what changed up to this instant, date, or time ago
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<At>,
    /// Only resources that a search finds, such as 'Observation?category=laboratory'
    #[arg(long = "type-filter", value_name = "TYPE?QUERY")]
    type_filters: Vec<String>,
    /// Only these elements, such as Patient.name,id
    #[arg(long, value_name = "ELEMENTS", value_delimiter = ',')]
    elements: Vec<String>,
    /// Only this patient; makes the kick-off a POST
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// Related data to include, such as LatestProvenanceResources
    #[arg(
        long,
        value_name = "CODES",
        value_delimiter = ',',
        hide_short_help = true
    )]
    include_associated_data: Vec<String>,
    /// Format to ask for [default: the server's, NDJSON]
    #[arg(long, value_name = "MIME")]
    output_format: Option<String>,
    /// Resource type to organize the files by
    #[arg(long, value_name = "TYPE")]
    organize_output_by: Option<String>,
    /// Let the server list files before all are ready
    #[arg(long)]
    allow_partial_manifests: bool,
    /// Let the server pass over parameters that it does not know
    #[arg(long)]
    lenient: bool,
    /// Ask the server to say the job's status in a header of its own (Bulk Data 3.0)
    #[arg(long, hide_short_help = true)]
    separate_export_status: bool,
    /// Parameter of the server's own
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
    /// How lists are written in the kick-off's query
    #[arg(long, value_enum, default_value = "comma", hide_short_help = true)]
    list_style: ListStyleArg,
    /// HTTP method of the kick-off
    #[arg(long, value_enum, default_value = "get")]
    method: MethodArg,
}

/// A time as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    instant: String,
    /// The words, when they mean another instant later.
    ago: Option<String>,
}

/// Since when changes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Since {
    Instant(At),
    /// Since the export before.
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    Get,
    Post,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ListStyleArg {
    /// One parameter with commas
    Comma,
    /// The parameter again for each value
    Repeat,
}

impl RequestArgs {
    /// Whether the export is one of a series.
    pub(super) fn is_series(&self) -> bool {
        self.since == Some(Since::Auto)
    }

    /// The kick-off. That of a series gets its `_since` when it is known.
    pub(super) fn kickoff(&self) -> Kickoff {
        let since = match &self.since {
            Some(Since::Instant(at)) => Some(at),
            Some(Since::Auto) | None => None,
        };
        let ago = [("since", since), ("until", self.until.as_ref())];
        Kickoff {
            level: self.export_level.clone(),
            types: without_blanks(&self.types),
            since: since.map(|at| at.instant.clone()),
            until: self.until.as_ref().map(|at| at.instant.clone()),
            ago: ago
                .into_iter()
                .filter_map(|(name, at)| Some((name.to_owned(), at?.ago.clone()?)))
                .collect(),
            type_filters: self.type_filters.clone(),
            elements: without_blanks(&self.elements),
            patients: without_blanks(&self.patients),
            include_associated_data: without_blanks(&self.include_associated_data),
            output_format: self.output_format.clone(),
            organize_output_by: self.organize_output_by.clone(),
            allow_partial_manifests: self.allow_partial_manifests,
            lenient: self.lenient,
            separate_status: self.separate_export_status,
            others: self.params.clone(),
            list_style: match self.list_style {
                ListStyleArg::Comma => ListStyle::Comma,
                ListStyleArg::Repeat => ListStyle::Repeat,
            },
            post: self.method == MethodArg::Post,
        }
    }
}

/// The names of a list that was typed with blanks behind its commas.
fn without_blanks(names: &[String]) -> Vec<String> {
    let names = names.iter().map(|name| name.trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

fn since(text: &str) -> Result<Since, String> {
    if text == "auto" {
        return Ok(Since::Auto);
    }
    instant(text)
        .map(Since::Instant)
        .map_err(|error| format!("{error}; auto asks for what changed since the export before"))
}

fn instant(text: &str) -> Result<At, String> {
    let instant = instant::typed(text, jiff::Timestamp::now())?;
    // The same words mean another instant later.
    let again = instant::typed(text, jiff::Timestamp::UNIX_EPOCH).ok();
    let ago = (again.as_ref() != Some(&instant)).then(|| text.to_owned());
    Ok(At { instant, ago })
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}
