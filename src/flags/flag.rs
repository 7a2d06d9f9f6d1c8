//! One flag that many commands take: how it is written, what it says in help, and which setting it gives.

use clap::{Arg, ArgAction};

use crate::profile::Key;

/// What a flag's value is, and where it goes.
#[derive(Clone, Copy, Debug)]
pub enum Reads {
    /// A setting, as it is typed.
    Text(Key),
    /// A setting that names a file; kept as an absolute path.
    Path(Key),
    /// A setting of several values, each from a flag of its own, joined by this.
    List(Key, &'static str),
    /// A setting that is on when the flag stands alone, and off with `=false`.
    Switch(Key),
    /// Something that its group reads itself.
    Own(fn(Arg) -> Arg),
}

/// A row of the tables of flags.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its long name, which is its id too.
    pub long: &'static str,
    pub reads: Reads,
    value: &'static str,
    help: &'static str,
    more: Option<&'static str>,
    short: Option<char>,
    alias: Option<&'static str>,
    check: Option<fn(Arg) -> Arg>,
    /// Flags that cannot stand beside it.
    pub not_with: &'static [&'static str],
    /// The flag that it is of no use without.
    pub only_with: Option<&'static str>,
}

impl Flag {
    const fn new(
        reads: Reads,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            long,
            reads,
            value,
            help,
            more: None,
            short: None,
            alias: None,
            check: None,
            not_with: &[],
            only_with: None,
        }
    }

    /// A flag that gives a setting as it is typed.
    pub const fn text(
        key: Key,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Reads::Text(key), long, value, help)
    }

    /// A flag that gives a setting that names a file.
    pub const fn path(key: Key, long: &'static str, help: &'static str) -> Self {
        Self::new(Reads::Path(key), long, "FILE", help)
    }

    /// A flag that may be given several times.
    pub const fn list(
        key: Key,
        separator: &'static str,
        long: &'static str,
        value: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Reads::List(key, separator), long, value, help)
    }

    /// A flag that is on, or off with `=false`.
    pub const fn switch(key: Key, long: &'static str, help: &'static str) -> Self {
        Self::new(Reads::Switch(key), long, "BOOL", help)
    }

    /// A flag that its group reads itself.
    pub const fn own(
        long: &'static str,
        value: &'static str,
        help: &'static str,
        shape: fn(Arg) -> Arg,
    ) -> Self {
        Self::new(Reads::Own(shape), long, value, help)
    }

    /// The same with a short name.
    #[must_use]
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// The same with a second long name.
    #[must_use]
    pub const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// The same with more to say in the reference.
    #[must_use]
    pub const fn more(mut self, more: &'static str) -> Self {
        self.more = Some(more);
        self
    }

    /// The same with a value that is checked when it is typed.
    #[must_use]
    pub const fn checked(mut self, check: fn(Arg) -> Arg) -> Self {
        self.check = Some(check);
        self
    }

    /// The same, but not beside these.
    #[must_use]
    pub const fn not_with(mut self, others: &'static [&'static str]) -> Self {
        self.not_with = others;
        self
    }

    /// The same, but of no use without that one.
    #[must_use]
    pub const fn only_with(mut self, other: &'static str) -> Self {
        self.only_with = Some(other);
        self
    }

    /// Whether it goes by this name, such as `--base-url` or `-p`.
    pub fn is_called(&self, name: &str) -> bool {
        if let Some(long) = name.strip_prefix("--") {
            return self.long == long || self.alias == Some(long);
        }
        let first = name.trim_start_matches('-').chars().next();
        first.is_some() && first == self.short
    }

    /// How it is written: `--base-url`.
    pub fn written(&self) -> String {
        format!("--{}", self.long)
    }

    /// What the parser of the command line and help know of it.
    pub fn arg(&self) -> Arg {
        let mut arg = Arg::new(self.long)
            .long(self.long)
            .value_name(self.value)
            .help(self.help)
            .help_heading(None::<&str>);
        if let Some(short) = self.short {
            arg = arg.short(short);
        }
        if let Some(alias) = self.alias {
            arg = arg.visible_alias(alias);
        }
        if let Some(more) = self.more {
            arg = arg.long_help(format!("{}\n\n{more}", self.help));
        }
        if let Some(check) = self.check {
            arg = check(arg);
        }
        match self.reads {
            Reads::Text(_) | Reads::Path(_) => arg,
            Reads::List(..) => arg.action(ArgAction::Append),
            Reads::Switch(_) => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(["true", "false"])
                .hide_possible_values(true),
            Reads::Own(shape) => shape(arg),
        }
    }
}
