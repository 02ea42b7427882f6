"""A beginner's way: branches and loops, slices put together, every layer with a name of its own."""


def lambda_lr(epoch, start, total):
    if epoch <= start:
        return 1.0
    if epoch >= total:
        return 0.0
    return 1 - (epoch - start) / (total - start)


def gan_loss(pred, is_real):
    if is_real:
        return torch.mean((pred - 1) ** 2)
    return torch.mean(pred**2)


def cycle_loss(g_ab, g_ba, real_a, real_b):
    loss_a = torch.mean(torch.abs(g_ba(g_ab(real_a)) - real_a))
    loss_b = torch.mean(torch.abs(g_ab(g_ba(real_b)) - real_b))
    return loss_a + loss_b


def identity_loss(g_ab, g_ba, real_a, real_b):
    return torch.mean(torch.abs(real_b - g_ab(real_b))) + torch.mean(torch.abs(real_a - g_ba(real_a)))


def reflection_pad2d(x, padding):
    if isinstance(padding, int):
        padding = [padding] * 4
    left, right, top, bottom = padding
    h, w = x.shape[-2], x.shape[-1]
    if left < 0 or right < 0 or top < 0 or bottom < 0:
        raise ValueError("negative padding")
    if left >= w or right >= w or top >= h or bottom >= h:
        raise ValueError("padding is too large")
    columns = []
    for j in range(left, 0, -1):
        columns.append(x[..., j : j + 1])
    columns.append(x)
    for j in range(right):
        columns.append(x[..., w - 2 - j : w - 1 - j])
    x = torch.cat(columns, dim=-1)
    rows = []
    for i in range(top, 0, -1):
        rows.append(x[..., i : i + 1, :])
    rows.append(x)
    for i in range(bottom):
        rows.append(x[..., h - 2 - i : h - 1 - i, :])
    return torch.cat(rows, dim=-2)


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm1 = nn.InstanceNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm2 = nn.InstanceNorm2d(channels)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return x + y


class Generator(nn.Module):
    def __init__(self, in_channels=3, out_channels=3, features=64, num_blocks=9):
        super().__init__()
        self.last = nn.Conv2d(features, out_channels, 7)
        self.first = nn.Conv2d(in_channels, features, 7, padding=3, padding_mode="reflect")
        self.down1 = nn.Conv2d(features, 2 * features, 3, 2, 1)
        self.down2 = nn.Conv2d(2 * features, 4 * features, 3, 2, 1)
        self.blocks = nn.ModuleList()
        for _ in range(num_blocks):
            self.blocks.append(ResidualBlock(4 * features))
        self.up1 = nn.ConvTranspose2d(4 * features, 2 * features, 3, 2, 1, output_padding=1)
        self.up2 = nn.ConvTranspose2d(2 * features, features, 3, 2, 1, output_padding=1)

    def forward(self, x):
        for layer in (self.first, self.down1, self.down2):
            x = F.relu(F.instance_norm(layer(x)))
        for block in self.blocks:
            x = block(x)
        for layer in (self.up1, self.up2):
            x = F.relu(F.instance_norm(layer(x)))
        return torch.tanh(self.last(F.pad(x, (3, 3, 3, 3), mode="reflect")))


class PatchDiscriminator(nn.Module):
    def __init__(self, in_channels=3, features=64):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, features, 4, 2, 1)
        self.conv2 = nn.Conv2d(features, 2 * features, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * features, 4 * features, 4, 2, 1)
        self.conv4 = nn.Conv2d(4 * features, 8 * features, 4, 1, 1)
        self.conv5 = nn.Conv2d(8 * features, 1, 4, 1, 1)

    def forward(self, x):
        x = F.leaky_relu(self.conv1(x), 0.2)
        x = F.leaky_relu(F.instance_norm(self.conv2(x)), 0.2)
        x = F.leaky_relu(F.instance_norm(self.conv3(x)), 0.2)
        x = F.leaky_relu(F.instance_norm(self.conv4(x)), 0.2)
        return self.conv5(x)


def init_weights(net):
    with torch.no_grad():
        for layer in net.modules():
            if type(layer) is nn.Conv2d or type(layer) is nn.ConvTranspose2d:
                layer.weight.copy_(torch.randn(layer.weight.shape) * 0.02)
                if layer.bias is not None:
                    layer.bias.fill_(0)


class ReplayBuffer:
    def __init__(self, max_size=50):
        self.max_size = max_size
        self.images = []

    def push_and_pop(self, images):
        result = torch.zeros_like(images)
        for i in range(len(images)):
            image = images[i].detach().clone()
            if len(self.images) < self.max_size:
                self.images.append(image)
                result[i] = image
            elif self.max_size > 0 and torch.rand(1).item() < 0.5:
                j = torch.randint(self.max_size, (1,)).item()
                result[i] = self.images[j]
                self.images[j] = image
            else:
                result[i] = image
        return result


class UnpairedImageDataset(Dataset):
    def __init__(self, root, transform=None, mode="train", unaligned=True):
        self.folder_a = str(root) + "/" + mode + "/A"
        self.folder_b = str(root) + "/" + mode + "/B"
        self.names_a = self.list_names(self.folder_a)
        self.names_b = self.list_names(self.folder_b)
        self.transform = transform
        self.unaligned = unaligned

    def list_names(self, folder):
        names = []
        for name in os.listdir(folder):
            ending = name.lower().split(".")[-1]
            if "." in name and ending in ["png", "jpg", "jpeg"]:
                names.append(name)
        names.sort()
        if len(names) == 0:
            raise ValueError("no pictures in " + folder)
        return names

    def read(self, path):
        picture = Image.open(path)
        picture.load()
        picture = picture.convert("RGB")
        if self.transform is None:
            picture = picture.resize((256, 256))
            values = torch.tensor(list(picture.tobytes()), dtype=torch.float32)
            return values.reshape(256, 256, 3).permute(2, 0, 1) / 255
        if type(self.transform) is list:
            for transform in self.transform:
                picture = transform(picture)
            return picture
        return self.transform(picture)

    def __len__(self):
        if len(self.names_a) > len(self.names_b):
            return len(self.names_a)
        return len(self.names_b)

    def __getitem__(self, index):
        name_a = self.names_a[index % len(self.names_a)]
        if self.unaligned:
            name_b = self.names_b[torch.randint(len(self.names_b), (1,)).item()]
        else:
            name_b = self.names_b[index % len(self.names_b)]
        item = {}
        item["A"] = self.read(self.folder_a + "/" + name_a)
        item["B"] = self.read(self.folder_b + "/" + name_b)
        return item


def generator_step(g_ab, g_ba, d_a, d_b, optimizer, real_a, real_b, weight_cycle=10.0, weight_identity=5.0):
    saved = []
    for net in (d_a, d_b):
        for p in net.parameters():
            saved.append(None if p.grad is None else p.grad.clone())
    optimizer.zero_grad()
    fake_b, fake_a = g_ab(real_a), g_ba(real_b)
    gan = gan_loss(d_b(fake_b), True) + gan_loss(d_a(fake_a), True)
    cycle = cycle_loss(g_ab, g_ba, real_a, real_b)
    identity = identity_loss(g_ab, g_ba, real_a, real_b)
    loss = gan + weight_cycle * cycle + weight_identity * identity
    loss.backward()
    optimizer.step()
    i = 0
    for net in (d_a, d_b):
        for p in net.parameters():
            p.grad = saved[i]
            i += 1
    return {"loss": loss.item(), "gan": gan.item(), "cycle": cycle.item(), "identity": identity.item()}
