"""Work in the background: the one consumer loop, its duties, and who watches over them."""
