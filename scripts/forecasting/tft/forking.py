"""The TFT's forward over forks: a chunk of bars is encoded once, and a decoder forks off at each of its origins.

Forking sequences: Wen et al. (2017), "A multi-horizon quantile recurrent forecaster", arXiv 1711.11053. Modules and
weights are pytorch-forecasting's, and so is the output at a chunk's first origin; at a later one the LSTM has read the
whole chunk before it, where the library restarts it, and attention covers that origin's lookback, as there. All
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
    resolutions: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:
    """The network's outputs [chunks, forks, steps, outputs] at every fork of every chunk.

    bars: [chunks, lookback + (forks - 1) · stride, the encoder's variables], all reals. known: [chunks, forks, horizon,
    the decoder's variables], all reals. static: each static variable's embedding [chunks, size], where there are some.
    steps: those of the horizon that are wanted, counted from 0; None: all. resolutions: what bars and known are
    multiples of, at most HALF of them, for each variable; None: they are not. The lookback is the network's
    max_encoder_length.
    """
    chunks, length = bars.shape[:2]
    forks, horizon = known.shape[1:3]
    lookback = network.hparams.max_encoder_length
    stride = (length - lookback) // max(1, forks - 1)

    embedding = _static_embedding(network, bars, static)
    context = network.static_context_variable_selection(embedding)
    past = _select(network.encoder_variable_selection, bars, context[:, None], resolutions[0])
    ahead = _select(network.decoder_variable_selection, known, context[:, None, None], resolutions[1])

    # the LSTM returns its cell at the end of a call alone: a call for each fork
    state = tuple(
        grn(embedding).expand(network.hparams.lstm_layers, -1, -1).contiguous()
        for grn in (network.static_context_initial_hidden_lstm, network.static_context_initial_cell_lstm)
    )
    encoded, states = [], []
    for piece in past.split([lookback] + [stride] * (forks - 1), dim=1):
        output, state = network.lstm_encoder(piece, state)
        encoded.append(output)
        states.append(state)
    fork_states = tuple(torch.stack(kind, dim=2).flatten(1, 2) for kind in zip(*states, strict=True))
    decoded, _ = network.lstm_decoder(ahead.flatten(0, 1), fork_states)

    past = network.post_lstm_add_norm_encoder(network.post_lstm_gate_encoder(torch.cat(encoded, dim=1)), past)
    ahead = network.post_lstm_add_norm_decoder(
        network.post_lstm_gate_decoder(decoded.view(chunks, forks, horizon, -1)), ahead
    )
    enrichment = network.static_context_enrichment(embedding)
    past = network.static_enrichment(past, enrichment[:, None])
    enriched = network.static_enrichment(ahead, enrichment[:, None, None])

    steps = torch.arange(horizon, device=bars.device) if steps is None else steps
    attended = _attend(
        network.multihead_attn, enriched, past, steps, lookback, stride, network.hparams.causal_attention
    )
    out = network.pos_wise_ff(network.post_attn_gate_norm(attended, enriched[:, :, steps]))
    return network.output_layer(network.pre_output_gate_norm(out, ahead[:, :, steps]))


def _static_embedding(network: TemporalFusionTransformer, bars: Tensor, static: dict[str, Tensor] | None) -> Tensor:
    """The static variables' selected embedding [chunks, hidden]; zeros where there are none, as in the library."""
    if static:
        return network.static_variable_selection(static)[0]
    return bars.new_zeros(len(bars), network.hparams.hidden_size)


def _select(
    selection: VariableSelectionNetwork, x: Tensor, context: Tensor, resolution: Tensor | None = None
) -> Tensor:
    """Variable selection [..., hidden] of reals [..., variables], under a context that broadcasts to [..., hidden].

    Each variable is one number, which an affine map (the library's prescaler) widens first: what is linear in its
    networks is applied to that map, not to its result. Where x are multiples of `resolution` [variables], and more rows
    than there are of those, a variable's network is computed once for each multiple, and its dropout is shared by all
    rows that have it.
    """
    tables = _tables(selection)
    rows = x.reshape(-1, x.shape[-1])
    count = rows.shape[1]
    if count == 1:
        return _each_variable(tables, rows.T.unsqueeze(-1), _dropout(selection))[0].view(*x.shape[:-1], -1)
    weights = _weights(selection.flattened_grn, x, tables, context).softmax(dim=-1).view(-1, count)
    if resolution is None or len(rows) <= 2 * HALF + 1:
        each = _each_variable(tables, rows.T.unsqueeze(-1), _dropout(selection))
        return (each * weights.T.unsqueeze(-1)).sum(dim=0).view(*x.shape[:-1], -1)
    multiples = torch.arange(-HALF, HALF + 1, device=x.device) * resolution.unsqueeze(1)
    each = _each_variable(tables, multiples.unsqueeze(-1), _dropout(selection)).flatten(0, 1)
    place = (rows / resolution).round().long() + HALF + torch.arange(count, device=x.device) * multiples.shape[1]
    return functional.embedding_bag(place, each, per_sample_weights=weights, mode="sum").view(*x.shape[:-1], -1)


def _each_variable(tables: dict[str, Tensor], x: Tensor, dropout: float) -> Tensor:
    """Each variable's gated residual network [variables, n, hidden] of its prescaled x; x: [variables, n, 1]."""
    slope = torch.einsum("vhc,vc->vh", tables["fc1.weight"], tables["prescaler.weight"])
    offset = torch.einsum("vhc,vc->vh", tables["fc1.weight"], tables["prescaler.bias"]) + tables["fc1.bias"]
    hidden = functional.elu(torch.addcmul(offset.unsqueeze(1), x, slope.unsqueeze(1)))
    hidden = torch.baddbmm(tables["fc2.bias"].unsqueeze(1), hidden, tables["fc2.weight"].transpose(1, 2))
    gate, bias = tables["gate_norm.glu.fc.weight"], tables["gate_norm.glu.fc.bias"]
    hidden = functional.glu(
        torch.baddbmm(bias.unsqueeze(1), functional.dropout(hidden, dropout), gate.transpose(1, 2)), dim=-1
    )
    normed = functional.layer_norm(hidden + _residual(tables, x), hidden.shape[-1:])
    norm = tables["gate_norm.add_norm.norm.weight"], tables["gate_norm.add_norm.norm.bias"]
    return torch.addcmul(norm[1].unsqueeze(1), normed, norm[0].unsqueeze(1))


def _residual(tables: dict[str, Tensor], x: Tensor) -> Tensor:
    """The residual connection of each variable's network: the prescaled x, brought to its width and normed where that
    differs.

    A layer norm of x · a + b, in closed form: the deviation over a and b is the root of a quadratic in x.
    """
    weight, bias = tables["prescaler.weight"].unsqueeze(1), tables["prescaler.bias"].unsqueeze(1)
    if "resample_norm.mask" not in tables:
        return torch.addcmul(bias, x, weight)
    gate = tables["resample_norm.mask"].unsqueeze(1).sigmoid() * 2
    interpolation = _interpolation(weight.shape[-1], gate.shape[-1], x.device)
    a, b = weight @ interpolation * gate, bias @ interpolation * gate
    a, b = a - a.mean(dim=-1, keepdim=True), b - b.mean(dim=-1, keepdim=True)
    square = [(left * right).mean(dim=-1, keepdim=True) for left, right in ((a, a), (a, b), (b, b))]
    inverse = (x * x * square[0] + 2 * x * square[1] + square[2] + 1e-5).rsqrt()
    norm = tables["resample_norm.norm.weight"].unsqueeze(1), tables["resample_norm.norm.bias"].unsqueeze(1)
    return torch.baddbmm(norm[1], torch.cat([x * inverse, inverse], dim=-1), torch.cat([a, b], dim=1) * norm[0])


def _weights(grn: GatedResidualNetwork, x: Tensor, tables: dict[str, Tensor], context: Tensor) -> Tensor:
    """The flattened network's output [..., variables] for all variables' prescaled x, one beside the other."""
    weight, bias = tables["prescaler.weight"], tables["prescaler.bias"]
    count, size = weight.shape
    hidden = grn.fc1.weight.view(-1, count, size)
    slope, offset = (hidden * weight).sum(dim=-1), (hidden * bias).sum(dim=(1, 2)) + grn.fc1.bias
    resample = grn.resample_norm
    interpolation = _interpolation(count * size, count, x.device).view(count, size, count)
    interpolation = interpolation * resample.mask.sigmoid() * 2
    across, level = (interpolation * weight.unsqueeze(-1)).sum(dim=1), (interpolation * bias.unsqueeze(-1)).sum((0, 1))
    residual = resample.norm(functional.linear(x, across.T, level))
    out = functional.elu(functional.linear(x, slope, offset) + grn.context(context))
    return grn.gate_norm(grn.fc2(out), residual)


def _tables(selection: VariableSelectionNetwork) -> dict[str, Tensor]:
    """A selection's weights, those of a kind as one tensor [variables, …], by their name in a variable's network;
    `prescaler.weight` and `prescaler.bias` [variables, size] are those of the affine maps before it."""
    names = list(selection.input_sizes)
    weights = [dict(selection.single_variable_grns[name].named_parameters()) for name in names]
    tables = {kind: torch.stack([variable[kind] for variable in weights]) for kind in weights[0]}
    tables["prescaler.weight"] = torch.stack([selection.prescalers[name].weight[:, 0] for name in names])
    tables["prescaler.bias"] = torch.stack([selection.prescalers[name].bias for name in names])
    return tables


@lru_cache
@torch.inference_mode(False)
def _interpolation(size: int, width: int, device: torch.device) -> Tensor:
    """The matrix [size, width] of the library's linear interpolation of `size` values to `width`."""
    identity = torch.eye(size, device=device).unsqueeze(1)
    return functional.interpolate(identity, width, mode="linear", align_corners=True).squeeze(1)


def _attend(
    attention: InterpretableMultiHeadAttention,
    ahead: Tensor,
    past: Tensor,
    steps: Tensor,
    lookback: int,
    stride: int,
    causal: bool,
) -> Tensor:
    """Attention [chunks, forks, steps, hidden] of each fork's wanted steps to its lookback and earlier steps."""
    mask = _mask(lookback, ahead.shape[2], causal, attention.mask_bias, ahead.device)[steps]
    scores = ahead.shape[1] * attention.n_head * mask.numel()
    # blocks that fit a cache, and that the allocator keeps; a GPU takes larger ones
    size = max(1, 2 ** (22 if ahead.device.type == "cpu" else 28) // scores)
    blocks = zip(ahead.split(size), past.split(size), strict=True)
    heads = torch.cat([_heads(attention, *block, steps, mask, lookback, stride) for block in blocks])
    return attention.dropout(attention.w_h(attention.dropout(heads).mean(dim=2)))


def _heads(
    attention: InterpretableMultiHeadAttention,
    ahead: Tensor,
    past: Tensor,
    steps: Tensor,
    mask: Tensor,
    lookback: int,
    stride: int,
) -> Tensor:
    """Each head's output [chunks, forks, heads, steps, width]."""
    chunks, forks = ahead.shape[:2]
    heads, width = attention.n_head, attention.d_k
    to_key_and_value = _side_by_side([*attention.k_layers, attention.v_layer])
    projected = functional.linear(past, *to_key_and_value)
    windows = torch.stack(
        [projected[:, start : start + lookback] for start in range(0, forks * stride or 1, stride or 1)], 1
    )
    both = torch.cat([windows, functional.linear(ahead, *to_key_and_value)], dim=2).flatten(0, 1)
    keys, values = both.split([heads * width, attention.d_v], dim=-1)
    keys = keys.unflatten(-1, (heads, width)).permute(0, 2, 3, 1).flatten(0, 1)
    queries = functional.linear(ahead[:, :, steps], *_side_by_side(attention.q_layers)) / width**0.5
    queries = queries.unflatten(-1, (heads, width)).transpose(2, 3).flatten(0, 2)
    attended = torch.baddbmm(mask, queries, keys).softmax(dim=-1)
    return (attended.view(chunks * forks, heads * len(steps), -1) @ values).view(chunks, forks, heads, len(steps), -1)


@lru_cache
@torch.inference_mode(False)
def _mask(lookback: int, horizon: int, causal: bool, bias: float, device: torch.device) -> Tensor:
    """Added to the scores [horizon, lookback + horizon]: no step attends to itself or to a later one."""
    mask = torch.zeros(horizon, lookback + horizon, device=device)
    if causal:
        mask[:, lookback:] = torch.full((horizon, horizon), bias, device=device).triu()
    return mask


def _side_by_side(layers: Iterable[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Weight and bias of layers with the same input, as those of one layer."""
    return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])


def _dropout(selection: VariableSelectionNetwork) -> float:
    """The dropout probability now: 0 outside training."""
    return selection.dropout if selection.training else 0.0
