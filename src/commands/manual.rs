//! `medplum manual`: the reference in `docs`, made from the tree of commands.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};

use crate::output::Output;

/// Write the command reference (cli.md) and the man pages (man/) of all commands
#[derive(Args, Debug)]
#[command(
    hide = true,
    after_help = "Examples:\n\
                  \x20 medplum manual --out docs"
)]
pub struct ManualArgs {
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = "docs")]
    out: PathBuf,
}

/// How wide the reference is.
const WIDTH: usize = 100;

const PREFACE: &str = "# Commands\n\n\
    What `--help` of each command says, made from the program: `cargo run -q -- manual`. The flags of sign-in, keys,\n\
    network and output, which stand before or after every command that talks to a server, are listed\n\
    [at the end](#medplum-options).\n";

/// Writes them.
///
/// # Errors
/// The folder cannot be written.
pub fn run(output: &Output, args: &ManualArgs, tree: Command) -> anyhow::Result<()> {
    let mut tree = tree
        .term_width(WIDTH)
        .disable_help_subcommand(true)
        .mut_subcommand("options", |command| command.hide(false));
    let pages = tree.clone();
    tree.build();
    let mut reference = PREFACE.to_owned();
    sections(&mut tree, &mut reference);
    let man = args.out.join("man");
    let cannot = || format!("cannot write to {}", args.out.display());
    fs::create_dir_all(&man).with_context(cannot)?;
    fs::write(args.out.join("cli.md"), reference).with_context(cannot)?;
    forget_pages(&man).with_context(cannot)?;
    clap_mangen::generate_to(pages, &man).with_context(cannot)?;
    output.note(&format!(
        "The reference is in {}",
        args.out.join("cli.md").display()
    ));
    Ok(())
}

/// A section for the command and for each below it, in the order of help.
fn sections(command: &mut Command, reference: &mut String) {
    let help = command.render_long_help().to_string();
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let lines: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        reference,
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n")
    );
    for below in command.get_subcommands_mut() {
        if !below.is_hide_set() || below.get_name() == "auth" {
            sections(below, reference);
        }
    }
}

/// Takes the pages of earlier commands away.
fn forget_pages(man: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(man)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "1") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
