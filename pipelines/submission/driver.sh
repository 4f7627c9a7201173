# Runs the driver of a submitted job, on the cluster's head: sh driver.sh VERSION JOB
# Whatever `python` is in the PATH there, ours is the one that Ray starts its workers with. Ray tells it to nobody but
# its raylet, the parent of the process that started this shell (Ray's job supervisor).
version=$1 job=$2

ends() {
    echo "$1" >&2
    exit 2
}

if [ -z "$UMBAU_PYTHON" ]; then
    raylet=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$PPID/status")
    UMBAU_PYTHON=$(tr '\0' '\n' <"/proc/$raylet/cmdline" |
        sed -n 's,^--python_worker_command=\(.*\) [^ ]*/setup_worker\.py .*,\1,p')
fi
[ -x "$UMBAU_PYTHON" ] || ends "It cannot be told which Python runs Ray here: name it in UMBAU_PYTHON, in the
environment of \`ray start\` on the head."
here=$("$UMBAU_PYTHON" -c 'from importlib.metadata import version; print(version("umbau"))' 2>/dev/null) ||
    ends "Umbau is not installed for $UMBAU_PYTHON, which runs Ray here: install umbau[cluster]==$version for it, on each
node."
[ "$here" = "$version" ] || ends "Umbau $version has submitted this, and Umbau $here is installed for $UMBAU_PYTHON, which
runs Ray here: install the same on both sides, then submit again."
job=$PWD/$job
if [ -z "$UMBAU_SITE" ] && [ -f .umbau/site.yaml ]; then # the cluster's own counts, else that of whoever submits
    export UMBAU_SITE="$PWD/.umbau/site.yaml"
fi
cd "$HOME" 2>/dev/null || cd / # nodes that share a machine replace the folder of a job under each other
exec "$UMBAU_PYTHON" -P -c 'from pipelines.cli import main; main()' run "$job"
