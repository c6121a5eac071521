"""Images and boxes: everything between an encoded picture and detections but the network itself."""
