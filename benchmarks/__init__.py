"""The search benchmark behind ./bench: Lodgepole beside what users would pick instead."""
