"""What to write here for the names that users of PyTorch type from habit."""

from __future__ import annotations

OF_PACKAGE = {
    "Tanh": "the function mg.tanh is a layer too: nn.Sequential(nn.Linear(2, 3), mg.tanh)",
    "ReLU": "the function mg.relu is a layer too: nn.Sequential(nn.Linear(2, 3), mg.relu)",
    "Sigmoid": "the function mg.sigmoid is a layer too: nn.Sequential(nn.Linear(2, 3), mg.sigmoid)",
    "GELU": "the function mg.gelu is a layer too: nn.Sequential(nn.Linear(2, 3), mg.gelu)",
    "Softplus": "the function mg.softplus is a layer too",
    "Softmax": "write mg.softmax(x, axis=-1)",
    "LogSoftmax": "write mg.log_softmax(x, axis=-1)",
    "Identity": "write lambda x: x",
    "Flatten": "write x.reshape(len(x), -1)",
    "ModuleList": "a plain list works: self.layers = [nn.Linear(2, 3), nn.Linear(3, 1)]",
    "ModuleDict": "a plain dict works: self.layers = {'in': nn.Linear(2, 3)}",
    "ParameterList": "a plain list works: self.weights = [nn.Parameter(w)]",
    "ParameterDict": "a plain dict works: self.weights = {'a': nn.Parameter(w)}",
    "CrossEntropyLoss": "losses are functions: nn.cross_entropy(logits, target)",
    "NLLLoss": "losses are functions: nn.nll_loss(log_p, target)",
    "MSELoss": "losses are functions: nn.mse_loss(y, target)",
    "BCEWithLogitsLoss": "write nn.binary_cross_entropy_with_logits(logits, target)",
    "BCELoss": "write nn.binary_cross_entropy_with_logits(logits, target)",
    "functional": "functions stand in nn (nn.cross_entropy) and in mg (mg.relu, mg.softmax)",
    "utils": "write mg.clip_grad_norm_(net, max_norm), nn.pad(sequences), nn.save(net, path)",
    "optim": "optimisers stand in nn: nn.Adam(net, lr=1e-3)",
    "LinearLR": "write nn.WarmupLR(optimizer, steps, start=0.1)",
    "SequentialLR": "write nn.WarmupLR(optimizer, steps, then=lambda step: 0.9**step)",
    "CosineLR": "write nn.CosineAnnealingLR(optimizer, T_max, eta_min)",
    "PlateauLR": "write nn.ReduceLROnPlateau(optimizer)",
}

OF_MODULES = {
    "to": "there are no devices; for another dtype call mg.set_default_dtype first",
    "cuda": "there are no devices: everything runs on the CPU",
    "cpu": "there are no devices: everything runs on the CPU",
    "double": "call mg.set_default_dtype(np.float64) before the module is made",
    "float": "call mg.set_default_dtype(np.float32) before the module is made",
    "half": "call mg.set_default_dtype(np.float16) before the module is made",
    "register_buffer": "assign it: self.mean = nn.Buffer(mean)",
    "register_parameter": "assign it: self.w = nn.Parameter(w)",
    "add_module": "assign it: setattr(self, name, module)",
    "requires_grad_": "write p.requires_grad = False for each p in net.parameters()",
    "weight": "the weights of a layer are called W here (W_xh, W_hh in cells)",
    "bias": "the bias of a layer is called b here (b_h in cells)",
}


def advice(habits: dict[str, str], name: str) -> str:
    """A semicolon and what to write instead of a name, or "" for a name that is not known."""
    return f"; {habits[name]}" if name in habits else ""
