# What the scripts here share; sourced, not run.
set -euo pipefail
peers_home=${COMPAT_PEERS:-$HOME/.cache/titorelli-peers}
default_kafka_version=4.3.1

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Prints the comment at the head of the script, for --help.
show_help() {
  awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$0"
  exit 0
}

needs() {
  local name
  for name in "$@"; do command -v "$name" >/dev/null || fail "'$name' is not installed"; done
}

# The class path of an installed Kafka.
class_path() {
  printf '%s/libs/*' "$1"
}
