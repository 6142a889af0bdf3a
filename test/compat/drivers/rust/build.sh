# How the drivers of Rust libraries are built; sourced by their `build`, not run.
#
# Versions.lock is a Cargo.lock without the lines that say where the crates come from: the same registry for all. Cargo knows
# which. To update it: cargo generate-lockfile, then `grep -v '^source = ' Cargo.lock >Versions.lock`.
. "$(dirname "${BASH_SOURCE[0]}")/../shared/build.sh"
needs cargo cc make flock
name=${here##*/}

build() {
  rm -rf source &&
    mkdir source &&
    cp -r "$here" "$here/../rust" source &&
    cd "source/$name" &&
    cargo generate-lockfile &&
    awk -v source="$(grep -m 1 '^source = ' Cargo.lock)" '/^checksum = / { print source } { print }' Versions.lock >complete.lock &&
    mv complete.lock Cargo.lock &&
    cargo build --release --locked --target-dir "$home/target"
}
build_from "$here" "$here/../rust"
printf '["%s/target/release/driver-%s"]\n' "$home" "$name"
