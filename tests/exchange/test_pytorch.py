"""Modules of PyTorch become networks, and networks modules, with the same results. `.ci/nightly pytorch` runs it."""

import copy
import io
import pickle
from collections import OrderedDict

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import fullyconnected as fc
from fullyconnected.errors import ConfigError
from tests.exchange.networks import rows_for
from tests.exchange.random_networks import networks

torch = pytest.importorskip("torch", reason="PyTorch is not needed to test the library; .ci/nightly pytorch has it")
nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def predicted(module, x, dtype="float32"):
    """Return what a module in evaluation mode gives."""
    with torch.no_grad():
        return module.eval()(torch.from_numpy(x.astype(dtype))).numpy()


def assert_same(found, wanted, rounding=1e-5):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= rounding * max(1, np.abs(wanted).max(initial=0))


def assert_there_and_back(net):
    """Assert that a network as a module gives the same results, and is the same network when it comes back."""
    module = fc.exchange.to_torch(net)
    for n in (0, 1, 7):
        x = rows_for(net, n, seed=5)
        assert_same(predicted(module, x, net.dtype), net.predict(x))
    if net.n_params or len(net.state):  # what has no weights has no type, either
        back = fc.exchange.from_torch(module)
        assert back.dtype == net.dtype
        np.testing.assert_array_equal(back.theta, net.theta)
        np.testing.assert_array_equal(back.state, net.state)
        np.testing.assert_array_equal(back.predict(x), net.predict(x))


class TestThereAndBack:
    def test_everything_registered(self, net):
        assert_there_and_back(net)

    @hypothesis.given(networks())
    @hypothesis.settings(max_examples=100)
    def test_random_networks(self, net):
        assert_there_and_back(net)

    def test_an_mlp_has_layers_of_pytorch(self):
        layers = [fc.Dense(4, 6, "gelu"), fc.BatchNorm(epsilon=1e-3, momentum=0.2), fc.Dropout(0.3), fc.Dense(6, 2)]
        module = fc.exchange.to_torch(fc.Network(layers, seed=0))
        assert [type(each) for each in module] == [nn.Linear, nn.GELU, nn.BatchNorm1d, nn.Dropout, nn.Linear]
        assert (module[2].eps, module[2].momentum, module[3].p) == (1e-3, 0.2, 0.3)
        assert not module.training
        assert [*module.state_dict()][:2] == ["0.weight", "0.bias"]

    def test_weights_are_copies(self):
        net = fc.mlp([3, 4, 1], seed=0)
        module, before = fc.exchange.to_torch(net), net.theta.copy()
        with torch.no_grad():
            module[0].weight.fill_(7)
        np.testing.assert_array_equal(net.theta, before)
        back = fc.exchange.from_torch(module)
        back.theta[:] = 0
        assert (module[0].weight == 7).all()

    def test_the_random_numbers_of_pytorch_are_left_alone(self):
        torch.manual_seed(3)
        wanted = torch.rand(3)
        torch.manual_seed(3)
        net = fc.exchange.from_torch(fc.exchange.to_torch(fc.mlp([3, 4, 1], seed=0)))
        assert net.n_out == 1
        assert (torch.rand(3) == wanted).all()

    def test_every_parameter_can_be_trained_there(self, net):
        module = fc.exchange.to_torch(net)
        if not net.n_params:
            assert not [*module.parameters()]
            return
        x = torch.from_numpy(rows_for(net, 8).astype(net.dtype))
        module(x).square().sum().backward()
        with_gradient = sum(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())
        assert with_gradient == len([*module.parameters()])
        assert sum(p.numel() for p in module.parameters()) == net.n_params

    def test_it_moves_to_another_device(self, net):
        module = fc.exchange.to_torch(net).to("meta")
        found = module(torch.from_numpy(rows_for(net, 5).astype(net.dtype)).to("meta"))
        assert found.shape == (5, net.n_out)
        assert found.device.type == "meta"

    def test_it_is_saved_copied_and_pickled_there(self, net):
        module, x = fc.exchange.to_torch(net), rows_for(net, 3)
        wanted = predicted(module, x, net.dtype)
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            np.testing.assert_array_equal(predicted(other, x, net.dtype), wanted)
        torch.save(module.state_dict(), file := io.BytesIO())
        for p in module.parameters():
            p.data.zero_()
        module.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        np.testing.assert_array_equal(predicted(module, x, net.dtype), wanted)


ACTIVATIONS = st.sampled_from(
    [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Sigmoid, nn.Tanh, nn.PReLU]
)


@st.composite
def modules(draw):
    """Draw an nn.Sequential, nested, of what a network can have."""
    torch.manual_seed(draw(st.integers(0, 99)))
    width, made = draw(st.integers(1, 5)), []
    first = width
    for _ in range(draw(st.integers(1, 5))):
        n_out = draw(st.integers(1, 6))
        part = [nn.Linear(width, n_out, bias=draw(st.booleans()))]
        norms = [nn.BatchNorm1d(n_out, eps=1e-3), nn.LayerNorm(n_out), nn.RMSNorm(n_out), nn.Identity()]
        norms += [nn.LayerNorm(n_out, bias=False), nn.RMSNorm(n_out, eps=1e-3, elementwise_affine=False)]
        part.append(draw(st.sampled_from(norms)))
        part.append(draw(ACTIVATIONS)())
        part.append(nn.Dropout(0.2))
        made += [nn.Sequential(*part)] if draw(st.booleans()) else part
        width = n_out
    module = nn.Sequential(*made).train()
    for _ in range(3):  # running statistics that are not those of the beginning
        module(torch.randn(16, first))
    return first, module.double() if draw(st.booleans()) else module


class OfItsOwn(nn.Module):
    """The usual class of a user."""

    def __init__(self):
        super().__init__()
        self.fc1, self.norm, self.fc2, self.out = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = F.relu(self.norm(self.fc1(x)))
        x = x + F.gelu(self.fc2(self.drop(x)))
        x = F.dropout(F.leaky_relu(x, 0.2), 0.1, training=self.training)
        return F.softmax(self.out(x), dim=1)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.body = OfItsOwn(), nn.Sequential(nn.Linear(3, 3), nn.ELU(0.5), nn.LayerNorm(3))
        self.blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

    def forward(self, x):
        y = self.a(x)
        y = self.body(y) + y
        for block in self.blocks:
            y = y + torch.tanh(block(y))
        return torch.sigmoid(y).view(y.size(0), -1)


class OneNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 1)

    def forward(self, x):
        return self.a(x).squeeze(-1)


class ByKeywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = F.relu(input=self.a(input=x.view(-1, 4).float()))
        h = torch.add(input=x, other=h)
        return F.softmax(input=F.linear(h, self.b.weight, bias=self.b.bias), dim=1).reshape(x.shape[0], -1)


class OtherInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x):
        return self.a(x) if self.training else torch.softmax(self.a(x), 1)


def pruned():
    from torch.nn.utils import prune

    layer = nn.Linear(4, 3)
    prune.l1_unstructured(layer, "weight", 0.5)
    return nn.Sequential(layer, nn.Tanh())


class OfCodes(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.a = nn.Embedding(5, 2), nn.Linear(6, 3)

    def forward(self, x):
        return self.a(self.table(x).flatten(1))


class MySequential(nn.Sequential):
    """A class that only has another name."""


class TestIn:
    @hypothesis.given(modules())
    @hypothesis.settings(max_examples=60)
    def test_random_modules(self, drawn):
        n_in, module = drawn
        net = fc.exchange.from_torch(module)
        x = np.random.default_rng(0).normal(size=(7, n_in)).astype(np.float32)
        wanted = predicted(module, x, "float64" if net.dtype == np.float64 else "float32")
        assert_same(net.predict(x), wanted)

    @pytest.mark.parametrize("make", [OfItsOwn, Nested, OneNumber, ByKeywords, OtherInTraining, pruned])
    def test_a_forward_of_its_own(self, make):
        module = make()
        x = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
        net = fc.exchange.from_torch(module)
        assert_same(net.predict(x), predicted(module, x).reshape(7, -1))

    @pytest.mark.parametrize(
        "make", [OfCodes, lambda: nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(6, 3))]
    )
    def test_codes(self, make):
        module, codes = make(), np.random.default_rng(0).integers(0, 5, (7, 3))
        net = fc.exchange.from_torch(module)
        with torch.no_grad():
            assert_same(net.predict(codes), module(torch.from_numpy(codes)).numpy())

    def test_a_module_stays_as_it_is(self):
        module = OfItsOwn().bfloat16().train()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        net = fc.exchange.from_torch(module)
        assert net.dtype == np.float32
        assert module.training
        assert all((value == before[name]).all() for name, value in module.state_dict().items())

    def test_a_trace_of_pytorch(self):
        module = OfItsOwn().train(False)
        net = fc.exchange.from_torch(torch.fx.symbolic_trace(module))
        assert net.layers == fc.exchange.from_torch(module).layers

    def test_wrapped_modules(self):
        inner = MySequential(nn.Linear(3, 2), nn.ReLU())
        wanted = fc.exchange.from_torch(inner)
        for module in (nn.DataParallel(inner), nn.Sequential(inner)):
            assert fc.exchange.from_torch(module).layers == wanted.layers
        scaled = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        np.testing.assert_allclose(fc.exchange.from_torch(scaled).params[0].W, scaled.weight.detach().numpy().T)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    def test_the_epsilon_that_rms_norm_has_of_its_own(self, dtype):
        """It is not the one of the type that its documentation names, where that is half precision."""
        module, x = nn.Sequential(nn.RMSNorm(4, dtype=dtype)), torch.full((1, 4), 1e-4, dtype=dtype)
        net = fc.exchange.from_torch(module)
        with torch.no_grad():
            wanted = module(x).double().numpy()
        np.testing.assert_allclose(net.predict(x.double().numpy()), wanted, rtol=4 * torch.finfo(dtype).eps)

    def test_a_layer_that_stands_twice_is_two(self):
        layer = nn.Linear(3, 3)
        net = fc.exchange.from_torch(nn.Sequential(layer, nn.Tanh(), layer))
        assert len(net.layers) == 2
        np.testing.assert_array_equal(net.params[0].W, net.params[1].W)

    def test_a_state_dict_is_read_without_its_module(self):
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).eval()
        net = fc.exchange.from_torch(module.state_dict(), activation="tanh")
        assert net.layers == fc.exchange.from_torch(module).layers
        half = {
            name: value.bfloat16() if value.is_floating_point() else value
            for name, value in module.state_dict().items()
        }
        assert fc.exchange.from_torch(half, activation="tanh").dtype == np.float32


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.factor = nn.Linear(3, 3), nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.a(x) * self.factor


class SomeRows(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x[:100])


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x), x


def of_itself():
    module = nn.Sequential(nn.Linear(2, 2))
    module.append(module)
    return module


def one_result_doubled():
    module = nn.Linear(2, 2)
    module.weight.data[0] *= 1e6
    module.register_forward_hook(lambda module, x, y: y * torch.tensor([1.0, 2.0]))
    return module


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x) + self.b(x)


class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else x


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: nn.Sequential(nn.Linear(2, 3), nn.Conv1d(1, 1, 1)), r"Sequential\.1 is a Conv1d.*it can have"),
            (lambda: nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU6())), r"Sequential\.0\.1 is a ReLU6"),
            (lambda: nn.Sequential(OrderedDict(head=nn.Linear(2, 2), cut=nn.ReLU6())), r"Sequential\.cut is a ReLU6"),
            (lambda: nn.Sequential(nn.Linear(2, 2), nn.GELU(approximate="tanh")), "approximated by tanh"),
            (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=0)), "dim=0"),
            (lambda: nn.Sequential(nn.Linear(2, 2), nn.Softplus(beta=2)), "beta=2"),
            (
                lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)),
                "no running statistics",
            ),
            (lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=None)), "no momentum"),
            (lambda: nn.Sequential(nn.Linear(2, 2), nn.LayerNorm((2, 2))), "axes"),
            (lambda: nn.Sequential(nn.Embedding(4, 2, max_norm=1.0), nn.Flatten(), nn.Linear(2, 2)), "max_norm"),
            (lambda: nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Linear(3, 2)), "vectors of 2 numbers"),
            (lambda: nn.Sequential(nn.LazyLinear(3)), "no weights yet"),
            (lambda: nn.Sequential(nn.Linear(2, 2, device="meta")), "no weights yet"),
            (lambda: nn.Sequential(), "no layer that computes something"),
            (lambda: nn.ReLU(), "how many columns"),
            (Scaled, "cannot have _operator.mul"),
            (SomeRows, "cannot have _operator.getitem"),
            (Two, "a tuple as its result"),
            (of_itself, "contains itself"),
            (one_result_doubled, "result 1"),
            (Branches, "adds a and b"),
            (Asks, "cannot be followed"),
        ],
    )
    def test_the_first_layer_that_cannot_be_had_is_named(self, make, message):
        with pytest.raises(ConfigError, match=message):
            fc.exchange.from_torch(make())

    def test_a_module_that_computes_something_else(self):
        module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        module[0].register_forward_hook(lambda module, x, y: y + 1)
        with pytest.raises(ConfigError, match=r"the module does not reproduce the network, so that it was not taken"):
            fc.exchange.from_torch(module)

    def test_an_activation_beside_a_module(self):
        with pytest.raises(ConfigError, match="a module has its own"):
            fc.exchange.from_torch(nn.Linear(2, 2), activation="relu")

    def test_weights_that_are_not_finite(self):
        module = nn.Linear(2, 2)
        module.weight.data[0, 0] = float("nan")
        with pytest.raises(ConfigError, match="not finite"):
            fc.exchange.from_torch(module)
