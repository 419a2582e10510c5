"""Metadata of an exported file, as text by key."""

import json

from growsearch.deploy.preprocessing import Preprocessing

FORMULA, FORMULA_OF_TABLES = "(byte / 255 - mean) / std", "(value - mean) / std"

SCALED_BY = {
    "pillow": "as Pillow's ImageOps.fit(picture, (width, height), BILINEAR)",
    "torch": "as torch.nn.functional.interpolate(mode='bilinear', antialias=True), to the nearest whole number",
}


def metadata(preprocessing: Preprocessing) -> dict[str, str]:
    """Class names by label, size, the rule for other sizes, and normalisation with tensors as [C][H][W] lists.

    ``range`` is there where the run had pictures deeper than 8 bits: the values that became the bytes 0 and 255.
    """
    normalisation = preprocessing.normalisation
    channels, height, width = preprocessing.image_shape
    resize = {
        "height": height,
        "width": width,
        "channels": channels,
        "rule": "scale until the size is covered, bilinear with antialiasing, and cut out the centre",
        "by": SCALED_BY.get(preprocessing.scaling, preprocessing.scaling),
    }
    return {
        "classes": json.dumps(list(preprocessing.classes)),
        "image_shape": json.dumps([channels, height, width]),
        **({} if preprocessing.table else {"resize": json.dumps(resize)}),
        **({} if preprocessing.span is None else {"range": json.dumps(list(preprocessing.span))}),
        "normalisation": json.dumps(
            {
                "formula": FORMULA_OF_TABLES if preprocessing.table else FORMULA,
                "mean": normalisation.mean.tolist(),
                "std": normalisation.std.tolist(),
                "source": normalisation.source,
            }
        ),
    }
