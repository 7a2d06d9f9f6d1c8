//! The program as a whole: its layers, its help, its documents, its sandbox.

mod cli;
mod demo;
mod flags;
mod layers;
mod recipes;
mod sandbox;
mod support_works;
