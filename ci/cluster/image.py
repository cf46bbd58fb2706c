#!/usr/bin/env python3
"""Makes a container image of one layer from local files, as an archive that `ctr images import` reads.

    image.py OUT.tar NAME:TAG[,NAME:TAG...] FILE=PATH... [@TARGET=LINK...] -- ENTRYPOINT...
"""

import hashlib
import io
import json
import os
import sys
import tarfile

FOLDERS = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o777}


def folder(name, mode):
    """An entry of a folder."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def layer(files):
    """The one layer, as bytes. Times are zero, so that the same files give the same image."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, mode in FOLDERS.items():
            archive.addfile(folder(name, mode))
        for file in files:
            source, place = file.split("=", 1)
            entry = tarfile.TarInfo(place.lstrip("/"))
            if source.startswith("@"):
                entry.type, entry.linkname = tarfile.SYMTYPE, source[1:]
                archive.addfile(entry)
                continue
            entry.size, entry.mode = os.path.getsize(source), 0o755
            with open(source, "rb") as opened:
                archive.addfile(entry, opened)
    return data.getvalue()


def sha256(data):
    """The digest of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def main():
    """Reads the command line and writes the archive."""
    out, name = sys.argv[1:3]
    end = sys.argv.index("--")
    content = layer(sys.argv[3:end])
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": sys.argv[end + 1:], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(content)}"]},
    }).encode()
    config_name = f"{sha256(config)}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": name.split(","), "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(out, "w") as archive:
        for path, data in ((config_name, config), ("layer.tar", content), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    main()
