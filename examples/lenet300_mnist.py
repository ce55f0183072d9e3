"""The same as `conv4_cifar10.py` with LeNet-300-100 on all 60,000 MNIST images.

python examples/lenet300_mnist.py --data-dir DATA
"""

from conv4_cifar10 import main

from lottery_ticket.models import LeNet300

if __name__ == "__main__":
    main("mnist", LeNet300, epochs=5)
