//! Link arguments of the library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // Keeps the section in which pgrx describes the declared functions, for scripts/sql.
        println!("cargo::rustc-link-arg-cdylib=-Wl,--no-gc-sections");
        // The dynamic linker's tables are read-only once the library is loaded.
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,relro,-z,now");
    }
}
