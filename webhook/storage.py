"""The volume that the graph lives in: a slab of the node, or an empty directory.

The one place where the webhook writes what the driver reads (``flexvol/contract.py``).
"""

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
    slab = slab_options(options).as_options()
    return Volume(
        name=names.STORAGE_VOLUME,
        flex_volume=FlexVolume(driver=DRIVER, fs_type=FILE_SYSTEM, options=slab),
    )


def slab_options(options: Options) -> SlabOptions:
    """Return what is asked of the driver."""
    return SlabOptions(
        size_mib=options.storage_size_mib,
        cache_key=options.cache_key,
        graph_format=image.graph_format(options.image),
    )
