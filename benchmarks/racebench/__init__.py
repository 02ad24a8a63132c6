"""Known races in released packages: does racelint find them, and is it silent once they are fixed?"""
