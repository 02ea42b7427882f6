"""What has to be seen beside the submission: whether two objects live on the same bytes.

A value that crosses to the grader is a copy, so memory can only be watched here.
"""

from copy import deepcopy

import torch

from torchgrade.isolation.worker.probes.stand_ins import StandIns


def writes_seen(convert, source, new_source, new_result, **options):
    """Convert, write into the source, then into the result; return what the other side shows each time.

    A new value has the kind and shape of what it is written into; None leaves that write out.
    """
    result = convert(source, **options)
    shown = {}
    with torch.no_grad():
        if new_source is not None:
            source[...] = new_source
            shown["result"] = deepcopy(result)
        if new_result is not None:
            result[...] = new_result
    return {**shown, "source": deepcopy(source)}


def sharing_answers(shares_memory, array, device):
    """Ask about a view of the array and about other tensors; return the answers, and the values afterwards."""
    view = torch.from_numpy(array)
    tensors = {"view of it": view, "equal copy": view.clone(), "other values": (view == 0).to(view.dtype)}
    if view.is_floating_point():
        tensors["view of it that requires grad"] = view.detach().requires_grad_()
        tensors["equal copy that requires grad"] = view.clone().requires_grad_()
        tensors["view of it in a graph"] = tensors["view of it that requires grad"][...]
    tensors["tensor on another device"] = view.to("meta")
    if device != "cpu":
        tensors["copy on that device"] = view.to(device)
    answers, after = {}, {}
    for name, tensor in tensors.items():
        answers[name] = shares_memory(array, tensor)
        after[name] = tensor.clone(), deepcopy(array)  # a call may undo what the call before it left
    kept = {name: after[name][0] for name in ("view of it", "equal copy")}
    kinds = sorted({"bool" if type(answer) is bool else str(type(answer)) for answer in answers.values()})
    return {"answers": answers, "kinds": kinds, "array": after["view of it"][1], "tensors": kept}


def sharing_of_parts(shares_memory, whole):
    """Ask about a part of a tensor, which begins behind its storage: of its array, and of a copy of that."""
    part = whole[1:, 1:]
    return [shares_memory(part.numpy(), part), shares_memory(part.numpy().copy(), part)]


def backward_after(convert, x, weight, cotangent):
    """Convert a leaf and a result of the graph, run backward; return arrays and gradient."""
    leaf = x.clone().requires_grad_()
    product = leaf * weight
    found = {"leaf": convert(leaf), "product": convert(product)}
    attached = leaf.requires_grad and product.requires_grad
    if attached:
        (product * cotangent).sum().backward()
    return {**found, "attached": attached, "gradient": leaf.grad}


def writes_in_graph(convert, x, weight):
    """Convert results of the graph, write into them; return what the arrays show: a product, a part of a leaf."""
    leaf = x.clone().requires_grad_()
    results = [leaf * weight, leaf[1:]]
    arrays = [convert(result) for result in results]
    with torch.no_grad():
        for result in results:
            result += 2
    return arrays


def landing_place(to_model_input, image, device, as_object=False):
    """The kind of device on which the result lies; the device is given by its name, or as a torch.device."""
    with StandIns():
        return to_model_input(image, device=torch.device(device) if as_object else device).device.type
