"""The measured reports of the tab Side by side: begun, watched, shown, and opened as pages of their own"""
