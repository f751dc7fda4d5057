# Read by the other scripts: counts the commands of recross, and says at last how long they took.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: >.commands

recross() {
    echo "$1" >>.commands
    command recross "$@"
}

finish() {
    times >.times
    local processor
    processor=$(sed -n '2s/^\([0-9]*\)m\([0-9]*\).*/\1 \2/p' .times | { read -r m s; echo $((60 * m + 10#$s)); })
    echo "$1; $(wc -l <.commands) commands of recross, $SECONDS seconds ($processor of processor time)"
}
