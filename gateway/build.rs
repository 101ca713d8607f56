//! Builds again when the console's files change.

fn main() {
    println!("cargo::rerun-if-changed=console/dist");
}
