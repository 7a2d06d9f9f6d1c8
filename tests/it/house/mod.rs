//! The program as a whole: its layers, its help, its documents, its sandbox.

mod cli;
mod demo;
mod layers;
mod recipes;
mod sandbox;
mod support_works;
