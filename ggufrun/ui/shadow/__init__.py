"""Shadow answers in the tab Side by side: how often real and shadow answers agree, and those that differ"""
