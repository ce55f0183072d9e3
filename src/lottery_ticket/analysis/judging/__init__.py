"""What levels are judged by: contrasts, margins, labels, and what a verdict rests on."""
