"""The volume that the graph lives in: a slab of the node, or an empty directory.

The one place where the webhook writes what the driver reads (``flexvol/contract.py``).
"""

from functools import lru_cache

from flexvol.contract import DRIVER, SlabOptions
from webhook import image, names
from webhook.options import Options, Storage
from webhook.pod import EmptyDir, FlexVolume, Volume

FILE_SYSTEM = "ext4"


def graph_volume(options: Options) -> Volume:
    """Return the pod's volume for the daemon's graph."""
    if options.storage is Storage.EMPTY_DIR:
        size = EmptyDir(size_limit=f"{options.storage_size_mib}Mi")
        return Volume(name=names.STORAGE_VOLUME, empty_dir=size)
    return _slab_volume(options.storage_size_mib, options.cache_key, options.cache, options.image)


def slab_options(options: Options) -> SlabOptions:
    """Return what is asked of the driver."""
    return _slab_options(options.storage_size_mib, options.cache_key, options.cache, options.image)


@lru_cache(maxsize=1024)
def _slab_options(size_mib: int, cache_key: str, cache: str, daemon_image: str) -> SlabOptions:
    form = image.graph_format(daemon_image)
    return SlabOptions(size_mib=size_mib, cache_key=cache_key, cache=cache, graph_format=form)


@lru_cache(maxsize=1024)
def _slab_volume(size_mib: int, cache_key: str, cache: str, daemon_image: str) -> Volume:
    options = _slab_options(size_mib, cache_key, cache, daemon_image).as_options()
    source = FlexVolume(driver=DRIVER, fs_type=FILE_SYSTEM, options=options)
    return Volume(name=names.STORAGE_VOLUME, flex_volume=source)
