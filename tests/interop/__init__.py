"""The programs of other people, over real registries, in both directions.

COMPAT: what these tests prove. "All" means every file byte for byte, with its executable bit.

What kitpack writes. Its bundles have raw layers, and tar layers for a folder of many small files and for every further
file of equal bytes.

======================  ==============================================================================================
kit 1.15.0              ``pull`` and ``unpack``, also straight from a registry: all (kit writes a Kitfile of its own,
                        in which configs stand under ``code``); ``unpack --filter`` by type, name and path;
                        ``inspect``, ``info``, ``list``, ``diff``, ``tag``, ``push``
modctl 0.1.0-alpha.3    ``pull`` and ``extract``: all; ``pull --extract-from-remote``: all; ``fetch`` by patterns (a
                        tar layer by its own path), ``inspect``, ``ls``, ``tag``, ``push``
oras 1.3.3              ``pull``, also from a layout: raw layers byte for byte, without the executable bit; a tar
                        layer arrives as PATH.tar, which ``tar -x`` at the top of the folder puts in its place;
                        ``cp -r`` between registries and layouts, ``attach``, ``discover``, ``repo tags``
skopeo 1.9.3            ``copy`` between registries and layouts, ``inspect --raw``, ``list-tags``; plain ``inspect``
                        refuses whatever is no container image
crane 0.20.7            ``copy``, ``digest``, ``pull --format oci``
kitpack serve           takes it and gives it back, with referrers by the API; what is packed into the store is there
                        without a push
docker-registry 2.8.2   takes it and gives it back, with referrers by tag
olareg 0.2.2            takes it and gives it back, with referrers by the API
======================  ==============================================================================================

What kitpack reads with ``inspect``, ``unpack``, ``unpack --only``, ``pull``, ``copy``, ``diff`` and ``verify``.

======================  ==============================================================================================
``kit pack``            all: ModelKit and ModelPack, each as tar, gzip, zstd and raw; raw and compressed as well,
                        which kit has for ModelKits only; MCP servers, ``path: .``
``modctl build``        all: tar and ``--raw``, ``--no-creation-time``, ``--output-remote``, with the names of the
                        alpha (``cnai``) and those of the specification since (``cncf``)
``oras push``           all: files of any type, folders under any type, image spec 1.0 and 1.1, layouts; a title that
                        is an absolute path is refused; what ``attach`` added is a referrer
``skopeo copy``         layouts
``crane pull``          layouts, by digest
======================  ==============================================================================================

What works at ``kitpack serve`` in both directions (``test_serve_clients.py``): oras ``push``, ``pull``, ``attach``,
``discover``, ``cp -r``, ``repo``, ``manifest`` and ``blob delete``; skopeo ``copy``, ``list-tags``, ``inspect --raw``,
``delete``; crane ``push``, ``pull``, ``copy``, ``append``, ``tag``, ``ls``, ``catalog``, ``digest``, ``validate`` and
``delete``; kit and modctl; cosign 3.1.1 ``sign``, ``verify``, ``attest`` and ``verify-attestation`` with keys, and
without any service.

What no program here writes is built by hand in ``tests/unit/artifact/test_dialects.py``: KitOps before 0.5, from then
to 1.9, and as ``jozu``; Docker Model Runner.
"""
