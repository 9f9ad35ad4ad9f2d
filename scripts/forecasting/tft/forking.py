"""The TFT's forward over forks: a chunk of bars is encoded once, and a decoder forks off at each of its origins.

Forking sequences: Wen et al. (2017), "A multi-horizon quantile recurrent forecaster", arXiv 1711.11053. Modules and
weights are pytorch-forecasting's, and so is the output at a chunk's first origin; at a later one the LSTM has read the
whole chunk before it, where the library starts it anew, and attention sees that origin's own lookback, as there. All
variables' networks of a selection are computed as one, which is where the library spends most of its time.
"""

from collections.abc import Iterable
from functools import lru_cache

import torch
from pytorch_forecasting import TemporalFusionTransformer
from pytorch_forecasting.models.temporal_fusion_transformer.sub_modules import (
    GatedResidualNetwork,
    InterpretableMultiHeadAttention,
    VariableSelectionNetwork,
)
from torch import Tensor, nn
from torch.nn import functional

from forecasting.tft.panel import HALF


def forecast(
    network: TemporalFusionTransformer,
    bars: Tensor,
    known: Tensor,
    static: dict[str, Tensor] | None = None,
    steps: Tensor | None = None,
    units: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:
    """What the network says [chunks, forks, steps, outputs] at every fork of every chunk.

    bars: [chunks, lookback + (forks - 1) · stride, the encoder's variables], all reals. known: [chunks, forks, horizon,
    the decoder's variables], all reals. static: each static variable's embedding [chunks, size], where there are some.
    steps: those of the horizon that are wanted, counted from 0; None: all. units: what bars and known are whole
    multiples of, HALF of them at most, for each variable; None: of nothing. The lookback is the network's
    max_encoder_length.
    """
    chunks, length = bars.shape[:2]
    forks, horizon = known.shape[1:3]
    lookback = network.hparams.max_encoder_length
    stride = (length - lookback) // max(1, forks - 1)

    about = _about(network, bars, static)
    context = network.static_context_variable_selection(about)
    past = _select(network.encoder_variable_selection, bars, context[:, None], units[0])
    ahead = _select(network.decoder_variable_selection, known, context[:, None, None], units[1])

    # the LSTM gives its cell at the end of a call alone: a call for each fork
    state = tuple(
        grn(about).expand(network.hparams.lstm_layers, -1, -1).contiguous()
        for grn in (network.static_context_initial_hidden_lstm, network.static_context_initial_cell_lstm)
    )
    read, states = [], []
    for piece in past.split([lookback] + [stride] * (forks - 1), dim=1):
        said, state = network.lstm_encoder(piece, state)
        read.append(said)
        states.append(state)
    forked = tuple(torch.stack(kind, dim=2).flatten(1, 2) for kind in zip(*states, strict=True))
    foreseen, _ = network.lstm_decoder(ahead.flatten(0, 1), forked)

    past = network.post_lstm_add_norm_encoder(network.post_lstm_gate_encoder(torch.cat(read, dim=1)), past)
    ahead = network.post_lstm_add_norm_decoder(
        network.post_lstm_gate_decoder(foreseen.view(chunks, forks, horizon, -1)), ahead
    )
    enrichment = network.static_context_enrichment(about)
    past = network.static_enrichment(past, enrichment[:, None])
    enriched = network.static_enrichment(ahead, enrichment[:, None, None])

    steps = torch.arange(horizon, device=bars.device) if steps is None else steps
    attended = _attend(
        network.multihead_attn, enriched, past, steps, lookback, stride, network.hparams.causal_attention
    )
    out = network.pos_wise_ff(network.post_attn_gate_norm(attended, enriched[:, :, steps]))
    return network.output_layer(network.pre_output_gate_norm(out, ahead[:, :, steps]))


def _about(network: TemporalFusionTransformer, bars: Tensor, static: dict[str, Tensor] | None) -> Tensor:
    """The static variables' embedding [chunks, hidden]; zeros where there are none, as in the library."""
    if static:
        return network.static_variable_selection(static)[0]
    return bars.new_zeros(len(bars), network.hparams.hidden_size)


def _select(selection: VariableSelectionNetwork, x: Tensor, context: Tensor, unit: Tensor | None = None) -> Tensor:
    """Variable selection [..., hidden] of reals [..., variables], under a context that broadcasts to [..., hidden].

    Each variable is one number, scaled up by an affine map before anything else: what is linear in its networks is
    applied to that map, not to its result. Where x are whole multiples of `unit` [variables], and more rows than there
    are of those, a variable's network is computed once for each multiple, and dropout drops for all rows that have it.
    """
    own = _tables(selection)
    rows = x.reshape(-1, x.shape[-1])
    count = rows.shape[1]
    if count == 1:
        return _each_variable(own, rows.T.unsqueeze(-1), _dropout(selection))[0].view(*x.shape[:-1], -1)
    weights = _weights(selection.flattened_grn, x, own, context).softmax(dim=-1).view(-1, count)
    if unit is None or len(rows) <= 2 * HALF + 1:
        each = _each_variable(own, rows.T.unsqueeze(-1), _dropout(selection))
        return (each * weights.T.unsqueeze(-1)).sum(dim=0).view(*x.shape[:-1], -1)
    multiples = torch.arange(-HALF, HALF + 1, device=x.device) * unit.unsqueeze(1)
    each = _each_variable(own, multiples.unsqueeze(-1), _dropout(selection)).flatten(0, 1)
    place = (rows / unit).round().long() + HALF + torch.arange(count, device=x.device) * multiples.shape[1]
    return functional.embedding_bag(place, each, per_sample_weights=weights, mode="sum").view(*x.shape[:-1], -1)


def _each_variable(own: dict[str, Tensor], x: Tensor, dropout: float) -> Tensor:
    """Each variable's gated residual network [variables, n, hidden] of x · scale + shift; x: [variables, n, 1]."""
    slope = torch.einsum("vhc,vc->vh", own["fc1.weight"], own["scale"])
    offset = torch.einsum("vhc,vc->vh", own["fc1.weight"], own["shift"]) + own["fc1.bias"]
    hidden = functional.elu(torch.addcmul(offset.unsqueeze(1), x, slope.unsqueeze(1)))
    hidden = torch.baddbmm(own["fc2.bias"].unsqueeze(1), hidden, own["fc2.weight"].transpose(1, 2))
    gate, bias = own["gate_norm.glu.fc.weight"], own["gate_norm.glu.fc.bias"]
    hidden = functional.glu(
        torch.baddbmm(bias.unsqueeze(1), functional.dropout(hidden, dropout), gate.transpose(1, 2)), dim=-1
    )
    normed = functional.layer_norm(hidden + _residual(own, x), hidden.shape[-1:])
    norm = own["gate_norm.add_norm.norm.weight"], own["gate_norm.add_norm.norm.bias"]
    return torch.addcmul(norm[1].unsqueeze(1), normed, norm[0].unsqueeze(1))


def _residual(own: dict[str, Tensor], x: Tensor) -> Tensor:
    """What each variable's network adds to: x · scale + shift, brought to its width and normed where that differs.

    A layer norm of x · a + b, in closed form: the deviation over a and b is the root of a quadratic in x.
    """
    scale, shift = own["scale"].unsqueeze(1), own["shift"].unsqueeze(1)
    if "resample_norm.mask" not in own:
        return torch.addcmul(shift, x, scale)
    gate = own["resample_norm.mask"].unsqueeze(1).sigmoid() * 2
    taken = _interpolation(scale.shape[-1], gate.shape[-1], x.device)
    a, b = scale @ taken * gate, shift @ taken * gate
    a, b = a - a.mean(dim=-1, keepdim=True), b - b.mean(dim=-1, keepdim=True)
    square = [(left * right).mean(dim=-1, keepdim=True) for left, right in ((a, a), (a, b), (b, b))]
    inverse = (x * x * square[0] + 2 * x * square[1] + square[2] + 1e-5).rsqrt()
    weight, bias = own["resample_norm.norm.weight"].unsqueeze(1), own["resample_norm.norm.bias"].unsqueeze(1)
    return torch.baddbmm(bias, torch.cat([x * inverse, inverse], dim=-1), torch.cat([a, b], dim=1) * weight)


def _weights(grn: GatedResidualNetwork, x: Tensor, own: dict[str, Tensor], context: Tensor) -> Tensor:
    """The flattened network's output [..., variables] for all variables' x · scale + shift, one beside the other."""
    scale, shift = own["scale"], own["shift"]
    count, size = scale.shape
    hidden = grn.fc1.weight.view(-1, count, size)
    slope, offset = (hidden * scale).sum(dim=-1), (hidden * shift).sum(dim=(1, 2)) + grn.fc1.bias
    resample = grn.resample_norm
    taken = _interpolation(count * size, count, x.device).view(count, size, count) * resample.mask.sigmoid() * 2
    across, level = (taken * scale.unsqueeze(-1)).sum(dim=1), (taken * shift.unsqueeze(-1)).sum(dim=(0, 1))
    residual = resample.norm(functional.linear(x, across.T, level))
    out = functional.elu(functional.linear(x, slope, offset) + grn.context(context))
    return grn.gate_norm(grn.fc2(out), residual)


def _tables(selection: VariableSelectionNetwork) -> dict[str, Tensor]:
    """A selection's weights, those of a kind as one tensor [variables, …], under the name that they have in a
    variable's network; `scale` and `shift` [variables, size] are those of the affine maps before it."""
    names = list(selection.input_sizes)
    weights = [dict(selection.single_variable_grns[name].named_parameters()) for name in names]
    found = {kind: torch.stack([own[kind] for own in weights]) for kind in weights[0]}
    found["scale"] = torch.stack([selection.prescalers[name].weight[:, 0] for name in names])
    found["shift"] = torch.stack([selection.prescalers[name].bias for name in names])
    return found


@lru_cache
@torch.inference_mode(False)
def _interpolation(size: int, wanted: int, device: torch.device) -> Tensor:
    """The matrix [size, wanted] by which the library's linear interpolation of `size` values gives `wanted`."""
    unit = torch.eye(size, device=device).unsqueeze(1)
    return functional.interpolate(unit, wanted, mode="linear", align_corners=True).squeeze(1)


def _attend(
    attention: InterpretableMultiHeadAttention,
    ahead: Tensor,
    past: Tensor,
    steps: Tensor,
    lookback: int,
    stride: int,
    causal: bool,
) -> Tensor:
    """Attention [chunks, forks, steps, hidden] of each fork's wanted steps to its own lookback and earlier steps."""
    mask = _mask(lookback, ahead.shape[2], causal, attention.mask_bias, ahead.device)[steps]
    scores = ahead.shape[1] * attention.n_head * mask.numel()
    # blocks that a cache holds, and that the allocator keeps; a GPU is filled by larger ones
    size = max(1, 2 ** (22 if ahead.device.type == "cpu" else 28) // scores)
    blocks = zip(ahead.split(size), past.split(size), strict=True)
    said = torch.cat([_heads(attention, *block, steps, mask, lookback, stride) for block in blocks])
    return attention.dropout(attention.w_h(attention.dropout(said).mean(dim=2)))


def _heads(
    attention: InterpretableMultiHeadAttention,
    ahead: Tensor,
    past: Tensor,
    steps: Tensor,
    mask: Tensor,
    lookback: int,
    stride: int,
) -> Tensor:
    """What each head says [chunks, forks, heads, steps, width]."""
    chunks, forks = ahead.shape[:2]
    heads, width = attention.n_head, attention.d_k
    to_key_and_value = _side_by_side([*attention.k_layers, attention.v_layer])
    seen = functional.linear(past, *to_key_and_value)
    windows = torch.stack(
        [seen[:, start : start + lookback] for start in range(0, forks * stride or 1, stride or 1)], 1
    )
    both = torch.cat([windows, functional.linear(ahead, *to_key_and_value)], dim=2).flatten(0, 1)
    keys, values = both.split([heads * width, attention.d_v], dim=-1)
    keys = keys.unflatten(-1, (heads, width)).permute(0, 2, 3, 1).flatten(0, 1)
    asked = functional.linear(ahead[:, :, steps], *_side_by_side(attention.q_layers)) / width**0.5
    asked = asked.unflatten(-1, (heads, width)).transpose(2, 3).flatten(0, 2)
    attn = torch.baddbmm(mask, asked, keys).softmax(dim=-1)
    return (attn.view(chunks * forks, heads * len(steps), -1) @ values).view(chunks, forks, heads, len(steps), -1)


@lru_cache
@torch.inference_mode(False)
def _mask(lookback: int, horizon: int, causal: bool, bias: float, device: torch.device) -> Tensor:
    """What is added to the scores [horizon, lookback + horizon]: no step sees itself, nor what comes after it."""
    mask = torch.zeros(horizon, lookback + horizon, device=device)
    if causal:
        mask[:, lookback:] = torch.full((horizon, horizon), bias, device=device).triu()
    return mask


def _side_by_side(layers: Iterable[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weight and bias of layers that read the same, as those of one."""
    return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])


def _dropout(selection: VariableSelectionNetwork) -> float:
    """The share of a variable's units that drop out now."""
    return selection.dropout if selection.training else 0.0
