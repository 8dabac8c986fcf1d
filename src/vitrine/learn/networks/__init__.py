"""The networks themselves, apart from their settings: importing these modules imports torch."""
