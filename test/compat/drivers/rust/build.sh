# How the drivers of Rust libraries are built; sourced by their `build`, not run.
#
# Versions.lock is a Cargo.lock without the lines that say where the crates come from: the same registry for all. Cargo knows
# which. To update it: cargo generate-lockfile, then `grep -v '^source = ' Cargo.lock >Versions.lock`. The drivers share the folder
# they are built in, so that what both need is compiled once.
. "$(dirname "${BASH_SOURCE[0]}")/../shared/build.sh"
needs cargo cc make flock
name=${here##*/}

build() {
  rm -rf source &&
    mkdir -p source/rust "source/$name" &&
    cp -r "$here"/../rust/{Cargo.toml,src} source/rust &&
    cp -r "$here"/{Cargo.toml,Versions.lock,src} "source/$name" &&
    cd "source/$name" &&
    cargo generate-lockfile &&
    awk -v source="$(grep -m 1 '^source = ' Cargo.lock)" '/^checksum = / { print source } { print }' Versions.lock >complete.lock &&
    mv complete.lock Cargo.lock &&
    cargo build --release --locked --target-dir "$peers_home/drivers/rust" &&
    cp --remove-destination "$peers_home/drivers/rust/release/driver-$name" "$home/driver"
}
build_from "$here"/{Cargo.toml,Versions.lock,src} "$here"/../rust/{build.sh,Cargo.toml,src}
printf '["%s/driver"]\n' "$home"
