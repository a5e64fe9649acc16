//! Generates the stubs from the protocol files; `protox` compiles them, so no `protoc` is needed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = ["common", "ingest", "retrieval", "graph", "router", "data", "swarm", "admin"]
        .map(|name| root.join(format!("hivemem/v1/{name}.proto")));
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(&files, [&root])?;
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("hivemem_descriptor.bin"), prost_encode(&descriptors))?;
    tonic_prost_build::configure()
        // Sorted, so that equal messages have equal bytes.
        .btree_map(".")
        .build_server(std::env::var_os("CARGO_FEATURE_SERVER").is_some())
        .compile_fds(descriptors)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
