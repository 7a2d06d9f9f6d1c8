//! The program as a whole: its layers, its help, its documents, its sandbox.

mod cli;
mod demo;
mod documents;
mod flags;
mod functions;
mod imports;
mod layers;
mod manual;
mod outputs;
mod recipes;
mod sandbox;
mod servers;
mod sizes;
mod still;
mod support_works;
