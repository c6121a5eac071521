"""From a garment's outline to layers in the image."""

from .bottoms import bottom_outline
from .categories import BOTTOMS, OUTWEAR
from .cloth import Cloth
from .cut import Garment
from .figure import Skeleton
from .geometry import Placement, ellipse
from .layers import Fabric, Flat, Layer, Stroke
from .outline import Outline, Piece
from .outwear import outwear_outline
from .palette import shade
from .tops import top_outline


def outline(garment: Garment, skeleton: Skeleton) -> Outline:
    """Shape any garment on a skeleton."""
    if garment.category.id in BOTTOMS:
        return bottom_outline(garment, skeleton)
    if garment.category.id in OUTWEAR:
        return outwear_outline(garment, skeleton)
    return top_outline(garment, skeleton)


def _piece(piece: Piece, cloth: Cloth, placement: Placement, owner: int) -> Layer:
    if piece.contrast:
        cloth = Cloth(cloth.second, cloth.base, "plain", cloth.period, cloth.angle, cloth.grain)
    fabric = Fabric(
        cloth,
        placement.scale,
        piece.angle + placement.angle,
        piece.brightness,
        tuple(placement.apply(fold) for fold in piece.folds),
    )
    return Layer(tuple(placement.apply(shape) for shape in piece.shapes), fabric, owner)


def _rim(piece: Piece, cloth: Cloth, placement: Placement) -> Layer:
    """A thin dark edge, which sets a piece off from what lies below."""
    shape = piece.shapes[0]
    closed = placement.apply(shape[[*range(len(shape)), 0]])
    return Layer((closed,), Stroke(shade(cloth.base, 0.62), placement.scale * 0.016))


def inside_layers(shape: Outline, garment: Garment, placement: Placement, owner: int) -> list[Layer]:
    """The back of an empty garment, seen from within."""
    return [_piece(piece, garment.cloth, placement, owner) for piece in shape.inside]


def body_layers(shape: Outline, garment: Garment, placement: Placement, owner: int) -> list[Layer]:
    """Everything that lies under the arms."""
    cloth = garment.cloth
    layers: list[Layer] = []
    for piece in shape.body:
        layers.append(_piece(piece, cloth, placement, owner))
        if piece.rimmed:
            layers.append(_rim(piece, cloth, placement))
    if shape.motif:
        layers.append(_piece(Piece(shape.motif, contrast=True), cloth, placement, owner))
    seams = tuple(placement.apply(seam) for seam in shape.seams)
    if seams:
        layers.append(Layer(seams, Stroke(shade(cloth.base, 0.72), placement.scale * 0.018)))
    if len(shape.buttons):
        circles = tuple(placement.apply(ellipse(x, y, 0.045, 0.045, 10)) for x, y in shape.buttons)
        tone = shade(cloth.base, 0.45) if sum(cloth.base) > 360 else shade(cloth.base, 1.0 + 0.9)
        layers.append(Layer(circles, Flat(tone), owner))
    return layers


def sleeve_layers(shape: Outline, garment: Garment, placement: Placement, owner: int) -> list[Layer]:
    """Everything that lies over the arms."""
    layers: list[Layer] = []
    for piece in shape.sleeves:
        layers += [_piece(piece, garment.cloth, placement, owner)]
        edge = piece.shapes[0]
        closed = placement.apply(edge[2:-2])
        layers.append(Layer((closed,), Stroke(shade(garment.cloth.base, 0.62), placement.scale * 0.016)))
    return layers
