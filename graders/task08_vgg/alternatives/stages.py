"""Five stages found by splitting the list, weights drawn by Xavier; a summary that puts the state back by hand."""

# It is appended to the solution, whose helpers it may use.

from torch import nn


def make_layers(config, in_channels=3, batch_norm=False):
    def stage(widths, before):
        parts = []
        for width in widths:
            parts.append(nn.Conv2d(before, width, 3, padding="same"))
            parts += [nn.BatchNorm2d(width)] * bool(batch_norm)
            parts.append(nn.ReLU())
            before = width
        return parts, before

    layers, widths, channels = [], [], in_channels
    for item in config:
        if item == "M":
            made, channels = stage(widths, channels)
            layers += [*made, nn.MaxPool2d(2)]
            widths = []
        else:
            widths.append(item)
    made, _ = stage(widths, channels)
    return nn.Sequential(*layers, *made)


class VGG(nn.Module):
    def __init__(self, config, num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
        super().__init__()
        self.features = make_layers(config, in_channels, batch_norm)
        self.flat = nn.Flatten(1)
        channels = next(n for n in config[::-1] if n != "M")
        self.fc6 = nn.Linear(channels * 7**2, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.relu6, self.relu7 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
        self.drop6, self.drop7 = nn.Dropout(dropout), nn.Dropout(dropout, inplace=True)
        for layer in (self.fc6, self.fc7, self.fc8):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x):
        x = self.flat(self.features(x))
        x = self.drop6(self.relu6(self.fc6(x)))
        x = self.drop7(self.relu7(self.fc7(x)))
        return self.fc8(x)


def vgg11(num_classes=1000, in_channels=3, batch_norm=False, dropout=0.5):
    return VGG(VGG_CONFIGS["vgg11"], num_classes, in_channels, batch_norm, dropout)
