"""As repositories write it: one Sequential called model, .data, glob, PIL.Image.Resampling, losses as modules."""

import glob


class ResidualBlock(nn.Module):
    def __init__(self, in_features):
        super(ResidualBlock, self).__init__()
        conv_block = [
            nn.ReflectionPad2d(1), nn.Conv2d(in_features, in_features, 3), nn.InstanceNorm2d(in_features),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1), nn.Conv2d(in_features, in_features, 3), nn.InstanceNorm2d(in_features),
        ]  # fmt: skip
        self.conv_block = nn.Sequential(*conv_block)

    def forward(self, x):
        return x + self.conv_block(x)


class Generator(nn.Module):
    def __init__(self, in_channels=3, out_channels=3, features=64, num_blocks=9):
        super(Generator, self).__init__()
        model = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, features, 7), nn.InstanceNorm2d(features),
                 nn.ReLU(inplace=True)]  # fmt: skip
        width = features
        for _ in range(2):
            model += [nn.Conv2d(width, width * 2, 3, stride=2, padding=1), nn.InstanceNorm2d(width * 2),
                      nn.ReLU(inplace=True)]  # fmt: skip
            width *= 2
        for _ in range(num_blocks):
            model += [ResidualBlock(width)]
        for _ in range(2):
            model += [nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1),
                      nn.InstanceNorm2d(width // 2), nn.ReLU(inplace=True)]  # fmt: skip
            width //= 2
        model += [nn.ReflectionPad2d(3), nn.Conv2d(features, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*model)

    def forward(self, x):
        return self.model(x)


class PatchDiscriminator(nn.Module):
    def __init__(self, in_channels=3, features=64):
        super(PatchDiscriminator, self).__init__()
        f = features
        self.model = nn.Sequential(
            nn.Conv2d(in_channels, f, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(f, f * 2, 4, stride=2, padding=1), nn.InstanceNorm2d(f * 2), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(f * 2, f * 4, 4, stride=2, padding=1), nn.InstanceNorm2d(f * 4), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(f * 4, f * 8, 4, padding=1), nn.InstanceNorm2d(f * 8), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(f * 8, 1, 4, padding=1),
        )  # fmt: skip

    def forward(self, x):
        return self.model(x)


def init_weights(net, gain=0.02):
    def init_func(m):
        classname = m.__class__.__name__
        if classname.find("Conv2d") != -1 or classname.find("ConvTranspose2d") != -1:
            torch.nn.init.normal_(m.weight.data, 0.0, gain)
            if hasattr(m, "bias") and m.bias is not None:
                torch.nn.init.constant_(m.bias.data, 0.0)

    net.apply(init_func)
    return net


class ReplayBuffer:
    def __init__(self, max_size=50):
        self.max_size = max_size
        self.data = []

    def push_and_pop(self, data):
        if self.max_size == 0:
            return data.detach()
        to_return = []
        for element in data.data:
            element = torch.unsqueeze(element, 0)
            if len(self.data) < self.max_size:
                self.data.append(element)
                to_return.append(element)
            else:
                if random.uniform(0, 1) > 0.5:
                    i = random.randint(0, self.max_size - 1)
                    to_return.append(self.data[i].clone())
                    self.data[i] = element
                else:
                    to_return.append(element)
        return torch.cat(to_return)


class LambdaLR:
    def __init__(self, n_epochs, decay_start_epoch):
        self.n_epochs = n_epochs
        self.decay_start_epoch = decay_start_epoch

    def step(self, epoch):
        return max(0.0, 1.0 - max(0, epoch - self.decay_start_epoch) / (self.n_epochs - self.decay_start_epoch))


def lambda_lr(epoch, start, total):
    return LambdaLR(total, start).step(epoch)


criterion_GAN = nn.MSELoss()
criterion_cycle = nn.L1Loss()


def gan_loss(pred, is_real):
    target = torch.ones_like(pred) if is_real else torch.zeros_like(pred)
    return criterion_GAN(pred, target)


def cycle_loss(g_ab, g_ba, real_a, real_b):
    fake_b = g_ab(real_a)
    fake_a = g_ba(real_b)
    return criterion_cycle(g_ba(fake_b), real_a) + criterion_cycle(g_ab(fake_a), real_b)


def set_requires_grad(nets, flags):
    for net, some in zip(nets, flags):
        for p, flag in zip(net.parameters(), some):
            p.requires_grad = flag


def generator_step(g_ab, g_ba, d_a, d_b, optimizer, real_a, real_b, weight_cycle=10.0, weight_identity=5.0):
    flags = [[p.requires_grad for p in net.parameters()] for net in (d_a, d_b)]
    set_requires_grad((d_a, d_b), [[False] * len(some) for some in flags])
    optimizer.zero_grad()
    loss_gan = gan_loss(d_b(g_ab(real_a)), True) + gan_loss(d_a(g_ba(real_b)), True)
    loss_cycle = cycle_loss(g_ab, g_ba, real_a, real_b)
    loss_identity = identity_loss(g_ab, g_ba, real_a, real_b)
    loss = loss_gan + loss_cycle * weight_cycle + loss_identity * weight_identity
    loss.backward()
    optimizer.step()
    set_requires_grad((d_a, d_b), flags)
    return {"loss": float(loss), "gan": float(loss_gan), "cycle": float(loss_cycle),
            "identity": float(loss_identity), "steps": 1}  # fmt: skip


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class UnpairedImageDataset(Dataset):
    def __init__(self, root, transform=None, mode="train", unaligned=True):
        self.transform = transform if callable(transform) or transform is None else Compose(transform)
        self.unaligned = unaligned
        self.files_A = self._files(os.path.join(root, "%s/A" % mode))
        self.files_B = self._files(os.path.join(root, "%s/B" % mode))

    def _files(self, folder):
        files = [f for f in glob.glob(folder + "/*.*") if f.split(".")[-1].lower() in ("png", "jpg", "jpeg")]
        if len(files) == 0:
            raise RuntimeError("Found 0 images in: " + folder)
        return sorted(files)

    def _load(self, path):
        image = Image.open(path).convert("RGB")
        if self.transform is None:
            import numpy as np

            array = np.array(image.resize((256, 256), Image.BILINEAR), dtype=np.float32) / 255.0
            return torch.from_numpy(array.transpose(2, 0, 1).copy())
        return self.transform(image)

    def __getitem__(self, index):
        item_A = self._load(self.files_A[index % len(self.files_A)])
        if self.unaligned:
            item_B = self._load(self.files_B[random.randint(0, len(self.files_B) - 1)])
        else:
            item_B = self._load(self.files_B[index % len(self.files_B)])
        return {"A": item_A, "B": item_B}

    def __len__(self):
        return max(len(self.files_A), len(self.files_B))
