"""Steps of linear chains without autograd, see README.md."""
