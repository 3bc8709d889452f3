"""The seed recipe as an ordinary PyTorch loop, the yardstick of `fleet_speed.py`; any Python with torch runs it.

The same sizes, minibatches, augmentation, optimiser and evaluations as a sister of `sim.trained`: training set and
population after each epoch, the validation set one epoch in eight, for one sister in eight is observed. No temperature
is fitted. Prints seconds a run of 200 epochs, of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from torch import nn

EPOCHS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4, help="trained in each of the repetitions")
    parser.add_argument("--repetitions", type=int, default=5, help="the fastest one counts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    x, y = torch.randn(1024, 32), torch.randint(0, 10, (1024,))
    xv, yv = torch.randn(2048, 32), torch.randint(0, 10, (2048,))
    xp, yp = torch.randn(2048, 32), torch.softmax(torch.randn(2048, 10), 1)
    net = nn.Sequential(
        *(nn.Linear(32, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        nn.Linear(128, 10),
    )
    optimiser = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=2e-4)

    def epoch(number: int) -> None:
        net.train()
        loss_sum = accuracy_sum = 0.0
        for index in torch.randperm(1024).split(32):
            xb, yb = x[index], y[index]
            logits = net(xb + 0.7 * torch.randn_like(xb))
            loss = nn.functional.cross_entropy(logits, yb)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item()
            accuracy_sum += (logits.argmax(1) == yb).float().mean().item()
        net.eval()
        with torch.no_grad():
            for inputs, target in ((x, y), (xp, yp), *([] if number % 8 else [(xv, yv)])):
                logits = net(inputs)
                nn.functional.cross_entropy(logits, target).item()
                top = logits.argmax(1)
                (target.gather(1, top[:, None]) if target.ndim == 2 else (top == target).float()).mean().item()

    epoch(0)
    wall, cpu = [], []
    for _ in range(args.repetitions):
        start, used = time.perf_counter(), time.process_time()
        for number in range(args.epochs):
            epoch(number)
        wall.append((time.perf_counter() - start) * EPOCHS / args.epochs)
        cpu.append((time.process_time() - used) * EPOCHS / args.epochs)
    print(json.dumps({"wall": min(wall), "cpu": min(cpu), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
