"""Our attention against torch.nn.MultiheadAttention, run side by side: outputs and gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqmodels.layers.attention import AttentionContext, CrossAttention, SelfAttention
from seqmodels.ops.attention import attention, attention_weights
from seqmodels.ops.masks import Positions
from tests.peers.compare import assert_gradients_match, assert_outputs_match

torch = pytest.importorskip("torch", reason="make test-peers installs it")

B, T, S, D, H = 3, 9, 7, 12, 4
LENGTHS = {T: [9, 4, 6], S: [7, 1, 5]}


def by_head(x: Any, parts: int) -> np.ndarray:
    """Converts torch's rows (one part after another) to [.., H, parts, K]."""
    x = x.detach().numpy()
    return np.moveaxis(x.reshape(parts, H, D // H, *x.shape[1:]), (0, 1, 2), (-2, -3, -1))


def layer_params(peer: Any, grad: bool) -> dict[str, Any]:
    pick = lambda p: p.grad if grad else p
    array = lambda p: pick(p).detach().numpy()
    kernel, bias = by_head(pick(peer.in_proj_weight), 3), by_head(pick(peer.in_proj_bias), 3)
    out = {"kernel": array(peer.out_proj.weight).T, "bias": array(peer.out_proj.bias)}
    return {"kernel": kernel, "bias": bias, "out": out}


def inputs(seed: int) -> tuple[Any, list[np.ndarray]]:
    """torch's layer, and tokens, memory and weights of the loss."""
    torch.manual_seed(seed)
    peer = torch.nn.MultiheadAttention(D, H, batch_first=True)
    torch.nn.init.normal_(peer.in_proj_bias)
    torch.nn.init.normal_(peer.out_proj.bias)
    draw = np.random.default_rng(seed)
    return peer, [draw.normal(size=(B, n, D)).astype(np.float32) for n in (T, S, T)]


def valid(length: int) -> np.ndarray:
    return np.arange(length) < np.array(LENGTHS[length])[:, None]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_self_attention_like_torch(causal: bool, seed: int) -> None:
    peer, (x, _, weights) = inputs(seed)
    weights = weights * valid(T)[..., None]
    tokens = torch.tensor(x, requires_grad=True)
    mask = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
    padding = torch.tensor(~valid(T))
    theirs, _ = peer(tokens, tokens, tokens, key_padding_mask=padding, attn_mask=mask)
    (theirs * torch.tensor(weights)).sum().backward()

    layer = SelfAttention(H, train=False, causal=causal, use_bias=True)
    context = AttentionContext(Positions(jnp.arange(T)[None], jnp.asarray(valid(T), jnp.int32)))

    def loss(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = {"qkv": {n: params[n] for n in ("kernel", "bias")}, "out": params["out"]}
        y, _ = layer.apply({"params": own}, x, None, context)
        return jnp.sum(y * weights), y

    run = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    gradients, ours = run(layer_params(peer, grad=False), x)
    assert_outputs_match(ours[valid(T)], theirs.detach().numpy()[valid(T)])
    assert_gradients_match(gradients, (layer_params(peer, grad=True), tokens.grad.numpy()))


@pytest.mark.parametrize("seed", range(2))
def test_cross_attention_equals_torch(seed: int) -> None:
    peer, (x, memory, weights) = inputs(seed)
    queries, source = (torch.tensor(a, requires_grad=True) for a in (x, memory))
    theirs, _ = peer(queries, source, source, key_padding_mask=torch.tensor(~valid(S)))
    (theirs * torch.tensor(weights)).sum().backward()

    layer = CrossAttention(H, train=False, use_bias=True)
    at = Positions(jnp.arange(T)[None], jnp.ones((B, T), jnp.int32))
    places = Positions(jnp.arange(S)[None], jnp.asarray(valid(S), jnp.int32))

    def loss(params: Any, x: jax.Array, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        kernel, bias = params["kernel"], params["bias"]
        pairs = jnp.einsum("bsd,dhpk->pbhsk", memory, kernel[:, :, 1:])
        pairs += jnp.swapaxes(bias[:, 1:], 0, 1)[:, None, :, None]
        query = {"kernel": kernel[:, :, 0], "bias": bias[:, 0]}
        own = {"query": query, "out": params["out"]}
        y = layer.apply({"params": own}, x, *pairs, at, places)
        return jnp.sum(y * weights), y

    run = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
    gradients, ours = run(layer_params(peer, grad=False), x, memory)
    assert_outputs_match(ours, theirs.detach().numpy())
    wanted = (layer_params(peer, grad=True), queries.grad.numpy(), source.grad.numpy())
    assert_gradients_match(gradients, wanted)


@pytest.mark.parametrize("rows", [1, B])
def test_an_additive_mask_equals_torch(rows: int) -> None:
    """Numbers and -inf are added to the scores, different for each head, without linear layers."""
    draw = np.random.default_rng(0)
    shapes = [(B, H, T, 3), (B, H, S, 3), (B, H, S, 3), (rows, H, T, S)]
    arrays = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    arrays[3][draw.random(shapes[3]) < 0.3] = -np.inf
    arrays[3][..., 0] = 1.0  # no row is fully masked, as torch returns NaN for it and we do not
    q, k, v, bias = (torch.tensor(a, requires_grad=True) for a in arrays)
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    theirs.square().sum().backward()
    at, places = Positions(jnp.arange(T)[None]), Positions(jnp.arange(S)[None])

    def loss(q: Any, k: Any, v: Any, bias: Any) -> tuple[jax.Array, jax.Array]:
        y = attention(q, k, v, at, places, causal=False, bias=bias)
        return jnp.square(y).sum(), y

    run = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3), has_aux=True))
    gradients, ours = run(*map(jnp.asarray, arrays))
    assert_outputs_match(ours, theirs.detach().numpy())
    assert_gradients_match(gradients, tuple(x.grad.numpy() for x in (q, k, v, bias)))
    q, k, _, bias = map(jnp.asarray, arrays)
    weights = attention_weights(q, k, at, places, causal=False, bias=bias)
    assert_outputs_match(weights @ arrays[2], theirs.detach().numpy())
