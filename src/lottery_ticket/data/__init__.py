"""Data sets: read or downloaded, checked, normalised, and named by a digest of their content."""

from ._arrays import arrays as arrays
from ._augment import AUGMENTATIONS as AUGMENTATIONS
from ._augment import PadCropFlip as PadCropFlip
from ._cifar import cifar10 as cifar10
from ._dataset import DataSet as DataSet
from ._dataset import Split as Split
from ._digest import content_digest as content_digest
from ._digits import digits as digits
from ._load import dataset_options as dataset_options
from ._load import load_dataset as load_dataset
from ._mnist import fashion_mnist as fashion_mnist
from ._mnist import mnist as mnist
from ._places import resolve_data_dir as resolve_data_dir
from ._sin import sin as sin
from ._table import DATASETS as DATASETS
from ._table import register_dataset as register_dataset
