//! What is printed, and how: flags that every command takes. A new flag is a row here.

use clap::{ArgAction, ValueEnum, value_parser};

use super::chain::Chain;
use super::flag::Flag;
use crate::output::{Color, Format, Output};

/// The flags, in the order of `medplum help options`.
pub const FLAGS: &[Flag] = &[
    Flag::own("format", "FORMAT", "Shape of the result", |arg| {
        arg.value_parser(value_parser!(FormatArg))
    })
    .short('o'),
    Flag::own(
        "quiet",
        "",
        "Print results, warnings and errors, and nothing else",
        |arg| arg.action(ArgAction::SetTrue),
    )
    .short('q'),
    Flag::own(
        "verbose",
        "",
        "Trace requests on stderr; twice for headers. Secrets are masked",
        |arg| arg.action(ArgAction::Count),
    )
    .short('v'),
    Flag::own("color", "WHEN", "When to colour [default: auto]", |arg| {
        arg.value_parser(value_parser!(ColorArg))
    }),
];

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Json,
    Ndjson,
    Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

/// The output as the flags ask for it.
pub fn read(given: &Chain) -> Output {
    let format = given
        .last::<FormatArg>("format")
        .map(|format| match format {
            FormatArg::Json => Format::Json,
            FormatArg::Ndjson => Format::Ndjson,
            FormatArg::Table => Format::Table,
        });
    let color = match given.last::<ColorArg>("color") {
        None | Some(ColorArg::Auto) => Color::Auto,
        Some(ColorArg::Always) => Color::Always,
        Some(ColorArg::Never) => Color::Never,
    };
    Output::new(format, given.any("quiet"), given.sum("verbose"), color)
}
