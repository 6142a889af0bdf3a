# What the build scripts of compiled drivers share; sourced, not run.
. "$(dirname "${BASH_SOURCE[0]}")/../../peers/common.sh"
case "${1:-}" in -h | --help) show_help ;; esac
here=$(cd "$(dirname "$0")" && pwd)
home=$peers_home/drivers/${here##*/}

# build_from PATH...: runs the script's own function `build`, in the folder $home, unless it succeeded before with these very
# files. Its steps are joined by &&: `set -e` does not reach it. Two at once are fine.
build_from() {
  local inputs
  inputs=$(find "$@" "$0" -type f -print0 | sort -z | xargs -0 cat | sha256sum)
  mkdir -p "$home"
  exec 8>"$home/build.lock"
  flock 8
  if [ "$(cat "$home/built" 2>/dev/null)" != "$inputs" ]; then
    rm -f "$home/built"
    (cd "$home" && build) >"$home/build.log" 2>&1 ||
      fail "building failed, see $home/build.log: $(grep -i -m 1 error "$home/build.log" | sed 's#[a-z]*://[^ )]*##g')"
    echo "$inputs" >"$home/built"
  fi
}
