import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery_ticket.data import AUGMENTATIONS, PadCropFlip
from lottery_ticket.errors import UsageError
from lottery_ticket.seeds import generator


def by_hand(x, draws, padding):
    """The same, image by image and pixel by pixel."""
    result = torch.zeros_like(x)
    height, width = x.shape[2:]
    for image, (dy, dx, flip) in enumerate(draws.tolist()):
        for row in range(height):
            for column in range(width):
                source_row = row + dy - padding
                source_column = (width - 1 - column if flip else column) + dx - padding
                if 0 <= source_row < height and 0 <= source_column < width:
                    result[image, :, row, column] = x[image, :, source_row, source_column]
    return result


sizes = st.integers(1, 4)


@settings(max_examples=40)
@given(st.tuples(sizes, sizes, sizes, sizes), st.integers(0, 3), st.integers(0, 2**32))
def test_apply_is_crop_and_flip_image_by_image(shape, padding, seed):
    random = generator(seed)
    augmentation = PadCropFlip(padding)
    x = torch.randn(shape, generator=random)
    draws = augmentation.draw(len(x), random)
    before = x.clone()
    assert torch.equal(augmentation.apply(x, draws), by_hand(x, draws, padding))
    assert torch.equal(x, before)


def test_the_middle_draw_changes_nothing():
    x = torch.randn(3, 2, 5, 4, generator=generator(0))
    draws = torch.tensor([[4, 4, 0]] * 3)
    assert torch.equal(PadCropFlip().apply(x, draws), x)


def test_a_batch_is_augmented_as_in_any_other():
    augmentation, random = PadCropFlip(), generator(0)
    x = torch.randn(6, 3, 8, 8, generator=random)
    draws = augmentation.draw(6, random)
    whole = augmentation.apply(x, draws)
    order = torch.tensor([5, 0, 3])
    assert torch.equal(augmentation.apply(x[order], draws[order]), whole[order])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_a_gpu():
    augmentation, random = PadCropFlip(), generator(0)
    x = torch.randn(6, 3, 32, 32, generator=random)
    draws = augmentation.draw(6, random)
    on_gpu = augmentation.apply(x.cuda(), draws.cuda())
    assert torch.equal(on_gpu.cpu(), augmentation.apply(x, draws))


def test_draws_cover_their_range_evenly():
    draws = PadCropFlip(2).draw(50_000, generator(0))
    assert (draws.shape, draws.dtype, draws.device.type) == ((50_000, 3), torch.int64, "cpu")
    for column, size in ((0, 5), (1, 5), (2, 2)):
        shares = draws[:, column].bincount() / len(draws)
        torch.testing.assert_close(shares, torch.full((size,), 1 / size), atol=0.01, rtol=0)
    again = PadCropFlip(2).draw(50_000, generator(0))
    assert torch.equal(draws, again)


def test_registered():
    assert AUGMENTATIONS["pad_crop_flip"](padding=2) == PadCropFlip(2)
    with pytest.raises(UsageError, match="did you mean 'pad_crop_flip'"):
        AUGMENTATIONS["pad_crop_flp"]


def test_negative_padding():
    with pytest.raises(UsageError, match="padding is 0 or more; got -1"):
        PadCropFlip(-1)
