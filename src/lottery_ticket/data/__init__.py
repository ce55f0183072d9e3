"""Data sets: read or downloaded, checked, normalised, and named by a digest of their content."""

from lottery_ticket.data._arrays import arrays as arrays
from lottery_ticket.data._augment import AUGMENTATIONS as AUGMENTATIONS
from lottery_ticket.data._augment import Augmentation as Augmentation
from lottery_ticket.data._augment import PadCropFlip as PadCropFlip
from lottery_ticket.data._augment import register_augmentation as register_augmentation
from lottery_ticket.data._cifar import cifar10 as cifar10
from lottery_ticket.data._cifar import cifar100 as cifar100
from lottery_ticket.data._dataset import DataSet as DataSet
from lottery_ticket.data._dataset import Normalisation as Normalisation
from lottery_ticket.data._dataset import Split as Split
from lottery_ticket.data._digest import content_digest as content_digest
from lottery_ticket.data._digits import digits as digits
from lottery_ticket.data._found import found_datasets as found_datasets
from lottery_ticket.data._labels import missing_classes as missing_classes
from lottery_ticket.data._load import dataset_options as dataset_options
from lottery_ticket.data._load import limits_itself as limits_itself
from lottery_ticket.data._load import load_dataset as load_dataset
from lottery_ticket.data._mnist import fashion_mnist as fashion_mnist
from lottery_ticket.data._mnist import mnist as mnist
from lottery_ticket.data._places import resolve_data_dir as resolve_data_dir
from lottery_ticket.data._sin import sin as sin
from lottery_ticket.data._svhn import svhn as svhn
from lottery_ticket.data._table import DATASETS as DATASETS
from lottery_ticket.data._table import register_dataset as register_dataset
