"""The programs of other people, over real registries, in both directions.

COMPAT, what these tests prove. "All" means byte for byte and with the executable bit.

What kitpack writes (bundles with raw layers; folders of many small files and second files of equal bytes as tar layers):

====================================  ====================================================================================
kit 1.15.0                            ``pull``, ``unpack`` (all; kit writes a Kitfile of its own, in which configs stand
                                      under ``code``), ``unpack --filter`` by type and by name, straight from the registry
                                      too; ``inspect``, ``info``, ``list``, ``tag``, ``push``, ``diff``
modctl 0.1.0-alpha.3                  ``pull`` and ``extract`` (all), ``pull --extract-from-remote`` (all), ``fetch`` by
                                      pattern (tar layers by the path of the layer), ``inspect``, ``ls``, ``push``
oras 1.3.3                            ``pull`` (raw files byte for byte, without the executable bit; a tar layer arrives as
                                      PATH.tar, which ``tar -x`` at the top puts in place), ``cp -r``, also from and to
                                      layouts, ``attach``, ``discover``
skopeo 1.9.3                          ``copy`` between registries and layouts, ``inspect --raw``, ``list-tags``; plain
                                      ``inspect`` refuses artifacts that are no container images
docker-registry 2.8, olareg 0.2       push, pull, copy with referrers (by tag, by the referrers API)
====================================  ====================================================================================

What kitpack reads (``inspect``, ``unpack``, ``unpack --only``, ``pull``, ``copy``, ``diff``, ``verify``):

====================================  ====================================================================================
``kit pack``                          all: ModelKit and ModelPack, each as tar, tar+gzip, tar+zstd and raw; ModelKit as
                                      raw+gzip and raw+zstd (kit refuses these for ModelPack)
``modctl build``                      all: tar and raw, ``--no-creation-time``, ``--output-remote``; with the names of the
                                      alpha (``cnai``) and of today's specification (``cncf``)
``oras push``                         all: files with any media type, image spec 1.0 and 1.1, folders (also under other
                                      media types), layouts; ``attach`` becomes a referrer; absolute titles are refused
``skopeo copy``                       layouts
====================================  ====================================================================================

Formats that no program here writes any more (KitOps before 0.5, Docker Model Runner) are built by hand in
``tests/unit/artifact/test_dialects.py``.
"""
