"""A right class that takes the place of a wrong one where a regression is graded."""


class SGD:
    def __init__(self, params, lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
        params = list(params)
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        groups = params if params and isinstance(params[0], dict) else [{"params": params}]
        self.param_groups = [{**options, **group, "params": list(group["params"])} for group in groups]
        self.velocities = {}

    def zero_grad(self):
        for param in (param for group in self.param_groups for param in group["params"]):
            param.grad = None

    def step(self):
        for group in self.param_groups:
            for param in (param for param in group["params"] if param.grad is not None):
                gradient = param.grad + group["weight_decay"] * param.detach()
                velocity = group["momentum"] * self.velocities.get(id(param), 0.0) + gradient
                self.velocities[id(param)] = velocity
                step = gradient + group["momentum"] * velocity if group["nesterov"] else velocity
                param.data.sub_(group["lr"] * step)
