"""What nobody told and the image shows: noise, blur, oversampling, JPEG tables."""
