# How the drivers of Go libraries are built; sourced by their `build`, not run.
. "$(dirname "${BASH_SOURCE[0]}")/../shared/build.sh"
needs go flock

build() {
  CGO_ENABLED=0 go build -C "$here" -buildvcs=false -trimpath -o "$home/driver" .
}
build_from "$here" "$here/../go"
printf '["%s/driver"]\n' "$home"
