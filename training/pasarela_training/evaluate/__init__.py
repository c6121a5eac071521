"""The `evaluate` stage: COCO's mAP of every variant, through the server's own backends, letterbox and suppression."""
